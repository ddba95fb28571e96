//! `auto.evolve`: columns for fields that a table lacks.
//!
//! In: a batch and the table as it is. Out: names and types of the columns to add, all of them Nullable, for the rows
//! that are there have no such value. The type is the decoded column's where the log's cache has it, else that of the
//! field's first value that is not null; a field that is only ever null waits for one.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use serde_json::value::RawValue;
use thm_api::{Result, SinkBatch, SinkChunk};

use super::ddl::type_for;
use super::json_cells;
use super::quote::identifier;
use super::rows::{has_value, payload};
use super::table::Table;

/// Most columns that a table grows to: records whose field names are data would never stop adding.
const MAX_COLUMNS: usize = 1_000;

/// Columns that the batch needs beyond those of the table, by name.
pub fn missing(table: &Table, batch: &SinkBatch, schemas_enabled: bool) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for chunk in &batch.chunks {
        match decoded_schema(chunk, schemas_enabled) {
            Some(schema) => of_schema(table, schema, &mut found),
            None => of_texts(table, chunk, schemas_enabled, &mut found),
        }
    }
    if !found.is_empty() && table.columns.len() + found.len() > MAX_COLUMNS {
        let name = found.keys().next().cloned().unwrap_or_default();
        return Err(table.mismatch(
            &name,
            format!(
                "auto.evolve would give {} more than {MAX_COLUMNS} columns; the topic's field names look like data. Set \
                 auto.evolve=false, or nest such fields.",
                table.label()
            ),
        ));
    }
    Ok(found)
}

/// `ALTER TABLE … ADD COLUMN`, harmless if somebody else was faster.
pub fn statement(table: &Table, columns: &BTreeMap<String, String>) -> String {
    let add = |(name, ty): (&String, &String)| format!("ADD COLUMN IF NOT EXISTS {} {ty}", identifier(name));
    let list: Vec<_> = columns.iter().map(add).collect();
    format!("ALTER TABLE {} {}", table.quoted(), list.join(", "))
}

/// Fields of the batch's first record that have no column: what is left out without `auto.evolve`.
pub fn left_out(table: &Table, batch: &SinkBatch) -> Vec<String> {
    let first = batch.records().find_map(has_value).and_then(json_cells::field_names);
    first.unwrap_or_default().into_iter().filter(|name| table.place(name).is_none()).collect()
}

/// The chunk's columns, if they are what its records' texts say.
fn decoded_schema(chunk: &SinkChunk, schemas_enabled: bool) -> Option<&Schema> {
    let schema = chunk.columns.as_deref()?.rows.schema_ref();
    let first = chunk.records.iter().find_map(has_value)?;
    let names = schema.fields().iter().map(|field| field.name().as_str());
    (!schemas_enabled && json_cells::has_fields(first, names)).then_some(schema)
}

fn of_schema(table: &Table, schema: &Schema, found: &mut BTreeMap<String, String>) {
    for field in schema.fields().iter().filter(|field| table.place(field.name()).is_none()) {
        let ty = type_for(field.data_type()).unwrap_or_else(|| "String".to_owned());
        found.entry(field.name().clone()).or_insert_with(|| format!("Nullable({ty})"));
    }
}

fn of_texts(table: &Table, chunk: &SinkChunk, schemas_enabled: bool, found: &mut BTreeMap<String, String>) {
    for value in chunk.records.iter().filter_map(has_value) {
        let Ok(value) = (if schemas_enabled { payload(value) } else { Ok(value) }) else { continue };
        // Most records bring nothing new, and their names are looked at without being copied.
        if json_cells::all_known(value, |name| table.place(name).is_some() || found.contains_key(name)) {
            continue;
        }
        let Ok(fields) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(value) else { continue };
        for (name, text) in fields {
            if table.place(&name).is_none()
                && !found.contains_key(&name)
                && let Some(ty) = type_of(text.get())
            {
                found.insert(name, format!("Nullable({ty})"));
            }
        }
    }
}

/// The type that takes a JSON value and others of its kind.
fn type_of(text: &str) -> Option<&'static str> {
    Some(match text.as_bytes().first()? {
        b'n' => return None,
        b't' | b'f' => "Bool",
        b'"' | b'{' | b'[' => "String",
        _ if text.parse::<i64>().is_ok() => "Int64",
        _ => "Float64",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_its_type_and_null_tells_none() {
        let types = ["true", "-7", "1.5", "1e3", "18446744073709551615", "\"x\"", "{}", "[1]"].map(type_of);
        let expected = ["Bool", "Int64", "Float64", "Float64", "Float64", "String", "String", "String"];
        assert_eq!(types, expected.map(Some));
        assert_eq!(type_of("null"), None);
    }
}
