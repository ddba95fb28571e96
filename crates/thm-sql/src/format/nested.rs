//! ARRAY, MAP, MULTISET and ROW in JSON, and how their columns are built.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Fields};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thm_codec::java_json;

use super::cells::{Cell, Cells};
use super::json_read::{self, Dialect, How, Unreadable};
use super::json_write::JsonWriter;
use super::{JsonOptions, MapNullKey};
use crate::expr::{EvalError, text};
use crate::types::nested::{entries_field, entry_fields, item_field, row_fields};
use crate::types::{LogicalType, java_map};

/// A nested column being built.
pub struct NestedCells {
    kind: LogicalType,
    parts: Vec<Cells>,
    lengths: Vec<usize>,
    valid: NullBufferBuilder,
}

impl NestedCells {
    /// For a nested type.
    #[must_use]
    pub fn new(kind: LogicalType) -> Self {
        let part = |kind: LogicalType| Cells::new(kind, true, 0);
        let parts = match (kind.element(), kind.entry(), kind) {
            (Some(element), ..) => vec![part(element.kind)],
            (_, Some(entry), _) => vec![part(entry.key.kind), part(entry.value.kind)],
            (.., LogicalType::Row(fields)) => fields.iter().map(|field| part(field.data_type.kind)).collect(),
            _ => Vec::new(),
        };
        Self { kind, parts, lengths: Vec::new(), valid: NullBufferBuilder::new(0) }
    }

    /// Appends a value or NULL.
    pub fn push(&mut self, cell: Option<Cell<'_>>) {
        let is_row = matches!(self.kind, LogicalType::Row(_));
        let mut length = 0;
        let valid = match cell {
            Some(Cell::List(items)) if !is_row => {
                length = items.len();
                items.into_iter().for_each(|item| self.parts[0].push(item));
                true
            }
            Some(Cell::Entries(entries)) if self.parts.len() == 2 && !is_row => {
                length = entries.len();
                for (key, value) in entries {
                    self.parts[0].push(key);
                    self.parts[1].push(value);
                }
                true
            }
            Some(Cell::Row(fields)) if is_row && fields.len() == self.parts.len() => {
                self.parts.iter_mut().zip(fields).for_each(|(part, field)| part.push(field));
                true
            }
            _ => {
                if is_row {
                    self.parts.iter_mut().for_each(|part| part.push(None));
                }
                false
            }
        };
        self.lengths.push(length);
        self.valid.append(valid);
    }

    /// The column.
    #[must_use]
    pub fn finish(&mut self) -> ArrayRef {
        let lengths = std::mem::take(&mut self.lengths);
        let nulls = self.valid.finish();
        let mut parts: Vec<ArrayRef> = self.parts.iter_mut().map(Cells::finish).collect();
        if let LogicalType::Row(fields) = self.kind {
            let fields = row_fields(fields);
            if fields.is_empty() {
                return Arc::new(StructArray::new_empty_fields(lengths.len(), nulls));
            }
            return Arc::new(StructArray::new(fields, parts, nulls));
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        if let Some(entry) = self.kind.entry() {
            let fields: Fields = entry_fields(entry);
            let entries: ArrayRef = Arc::new(StructArray::new(fields, parts, None));
            return Arc::new(ListArray::new(entries_field(entry), offsets, entries, nulls));
        }
        let kind = self.kind.element().map_or(LogicalType::Null, |element| element.kind);
        let items = parts.pop().unwrap_or_else(|| arrow::array::new_empty_array(&ArrowType::Null));
        Arc::new(ListArray::new(item_field(kind), offsets, items, nulls))
    }
}

/// Members of an object in order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            out.push((name, map.next_value::<&'de RawValue>()?));
        }
        Ok(out)
    }
}

fn members(raw: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Unreadable> {
    serde_json::Deserializer::from_str(raw).deserialize_map(Members).map_err(|_| Unreadable)
}

/// Reads a nested value.
pub fn read<'a>(raw: &'a str, kind: LogicalType, how: How) -> Result<Cell<'a>, Unreadable> {
    let inner = |raw: &'a RawValue, kind: LogicalType| match json_read::cell_in(raw.get(), kind, how) {
        Err(Unreadable) if how.lenient => Ok(None),
        read => read,
    };
    if let Some(element) = kind.element() {
        let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| Unreadable)?;
        let cells: Result<Vec<_>, _> = items.into_iter().map(|item| inner(item, element.kind)).collect();
        return cells.map(Cell::List);
    }
    if let Some(entry) = kind.entry() {
        if !entry.key.kind.is_text() {
            return Err(Unreadable);
        }
        if how.dialect == Dialect::Debezium && !raw.starts_with('{') {
            // What is no object has no members in Jackson's tree.
            return Ok(Cell::Entries(Vec::new()));
        }
        let mut entries: Vec<(Cow<'_, str>, Option<Cell<'_>>)> = Vec::new();
        for (name, value) in members(raw)? {
            let value = inner(value, entry.value.kind)?;
            // The last of a name wins, where the first one was.
            match entries.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => entries.push((name, value)),
            }
        }
        let count = entries.len();
        entries.sort_by_cached_key(|(name, _)| java_map::bucket(java_map::text_hash(name), count));
        let owned = |(name, value): (Cow<'_, str>, _)| (Some(Cell::Text(Cow::Owned(name.into_owned()))), value);
        return Ok(Cell::Entries(entries.into_iter().map(owned).collect()));
    }
    let LogicalType::Row(fields) = kind else { return Err(Unreadable) };
    let found = members(raw)?;
    let field = |field: &crate::types::nested::RowField| {
        let value = found.iter().rev().find(|(name, _)| *name == field.name);
        match value {
            Some((_, raw)) => inner(raw, field.data_type.kind),
            None if how.complete => Err(Unreadable),
            None => Ok(None),
        }
    };
    fields.iter().map(field).collect::<Result<Vec<_>, _>>().map(Cell::Row)
}

/// Appends a nested value that is not NULL.
pub fn write(
    writer: &JsonWriter,
    options: &JsonOptions,
    out: &mut Vec<u8>,
    (array, row): (&ArrayRef, usize),
    kind: LogicalType,
) -> Result<(), EvalError> {
    let broken = || EvalError { message: format!("{kind} is not stored as such"), row };
    let value = |out: &mut Vec<u8>, array: &ArrayRef, at: usize, kind: LogicalType| {
        if text::is_null(array, at, kind) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        writer.value(out, array, at, kind)
    };
    if let LogicalType::Row(fields) = kind {
        let columns = array.as_struct_opt().ok_or_else(broken)?;
        out.push(b'{');
        let mut first = true;
        for (field, column) in fields.iter().zip(columns.columns()) {
            if options.ignore_null_fields && column.is_null(row) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            java_json::write_string(out, &field.name);
            out.push(b':');
            value(out, column, row, field.data_type.kind)?;
        }
        out.push(b'}');
        return Ok(());
    }
    let list = array.as_list_opt::<i32>().ok_or_else(broken)?;
    let items = list.value(row);
    if let Some(element) = kind.element() {
        out.push(b'[');
        for at in 0..items.len() {
            if at > 0 {
                out.push(b',');
            }
            value(out, &items, at, element.kind)?;
        }
        out.push(b']');
        return Ok(());
    }
    let entry = kind.entry().ok_or_else(broken)?;
    let entries = items.as_struct_opt().ok_or_else(broken)?;
    let keys = entries.column(0).as_string_opt::<i32>().ok_or_else(broken)?;
    let key = |at: usize| keys.is_valid(at).then(|| keys.value(at));
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| java_map::bucket(key(*at).map_or(0, java_map::string_hash), entries.len()));
    order.sort_by_key(|at| java_map::bucket(key(*at).map_or(0, java_map::text_hash), entries.len()));
    if options.map_null_key == MapNullKey::Literal {
        replace_twice(&mut order, |at| key(at).unwrap_or(options.map_null_literal));
    }
    out.push(b'{');
    let mut first = true;
    for at in order {
        let name = match (key(at), options.map_null_key) {
            (Some(name), _) => name,
            (None, MapNullKey::Literal) => options.map_null_literal,
            (None, MapNullKey::Drop) => continue,
            (None, MapNullKey::Fail) => {
                let message = "JSON format doesn't support to serialize map data with null keys. You can drop null key entries or \
                               encode null in literals by specifying map-null-key.mode option.";
                return Err(EvalError { message: message.to_owned(), row });
            }
        };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        java_json::write_string(out, name);
        out.push(b':');
        value(out, entries.column(1), at, entry.value.kind)?;
    }
    out.push(b'}');
    Ok(())
}

/// A name that comes again has its last value, where the first one was.
fn replace_twice<'a>(order: &mut Vec<usize>, name: impl Fn(usize) -> &'a str) {
    let mut at = 0;
    while at < order.len() {
        match (0..at).find(|earlier| name(order[*earlier]) == name(order[at])) {
            Some(earlier) => order[earlier] = order.remove(at),
            None => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::PhysicalColumn;
    use crate::types::nested::RowField;

    fn kind() -> LogicalType {
        let int = LogicalType::Int.nullable(true);
        let numbers = LogicalType::array(int).nullable(true);
        let by_name = LogicalType::map(LogicalType::STRING.nullable(false), numbers).nullable(true);
        let field = |name: &str, data_type| RowField { name: name.to_owned(), data_type };
        LogicalType::row(vec![field("a", numbers), field("b", by_name), field("c", LogicalType::STRING.nullable(true))])
    }

    fn written(text: &str) -> Option<String> {
        let cell = read(text, kind(), How::of(&JsonOptions::default(), Dialect::Json)).ok()?;
        let mut column = NestedCells::new(kind());
        column.push(Some(cell));
        let columns = vec![PhysicalColumn { name: "v".to_owned(), data_type: kind().nullable(true) }];
        let writer = JsonWriter::new(&columns, &[(0, "v".to_owned())], JsonOptions::default());
        let mut out = Vec::new();
        writer.rows(&[column.finish()]).write(&mut out, 0).unwrap();
        let whole = String::from_utf8(out).unwrap();
        Some(whole.strip_prefix("{\"v\":")?.strip_suffix('}')?.to_owned())
    }

    #[test]
    fn nested_values_are_read_and_written() {
        let text = r#"{"a":[1,null],"b":{"x":[],"y":null},"c":"é"}"#;
        assert_eq!(written(text).as_deref(), Some(text));
        assert_eq!(written(r#"{"c":1.50,"z":0}"#).as_deref(), Some(r#"{"a":null,"b":null,"c":"1.50"}"#));
        assert_eq!(written(r#"{"a":[1,"x"]}"#), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,120}") {
            let _ = written(&text);
        }

        #[test]
        fn what_is_written_is_read_again(
            numbers in proptest::collection::vec(proptest::option::of(any::<i32>()), 0..5),
            names in proptest::collection::btree_map("[a-z]{1,4}", any::<i32>(), 0..5),
            text in proptest::option::of(".{0,20}"),
        ) {
            let names: serde_json::Map<String, serde_json::Value> =
                names.into_iter().map(|(name, number)| (name, serde_json::json!([number]))).collect();
            let value = serde_json::json!({ "a": numbers, "b": names, "c": text });
            let once = written(&value.to_string()).unwrap();
            let read: serde_json::Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(read, value);
            prop_assert_eq!(written(&once), Some(once));
        }
    }
}
