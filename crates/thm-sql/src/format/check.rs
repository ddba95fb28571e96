//! Types that a format has no form for, in Flink's words.

use super::{Format, ValueFormat};
use crate::types::LogicalType;

/// Checks the columns, by name and type, that a format reads or writes.
pub fn types(format: &Format, columns: &[(&str, LogicalType)]) -> Result<(), String> {
    match format.kind {
        ValueFormat::Csv => columns.iter().try_for_each(|(name, kind)| csv(name, *kind)),
        ValueFormat::Raw => raw(columns),
        ValueFormat::Json | ValueFormat::DebeziumJson => {
            match columns.iter().find_map(|(_, kind)| non_text_key(*kind)) {
                Some(map) => {
                    Err(format!("JSON format doesn't support non-string as key type of map. The type is: {map}"))
                }
                None => Ok(()),
            }
        }
    }
}

fn csv(name: &str, kind: LogicalType) -> Result<(), String> {
    let inner: Vec<LogicalType> = match kind {
        LogicalType::Array(of) => vec![of.kind],
        LogicalType::Row(fields) => fields.iter().map(|field| field.data_type.kind).collect(),
        LogicalType::Map(_) | LogicalType::Multiset(_) => {
            return Err(format!("Unsupported type '{kind}' for field '{name}'."));
        }
        _ => Vec::new(),
    };
    match inner.into_iter().find(|kind| kind.is_nested()) {
        Some(nested) => Err(format!(
            "Only simple types are supported in the second level nesting of fields '{name}' but was: {nested}"
        )),
        None => Ok(()),
    }
}

fn raw(columns: &[(&str, LogicalType)]) -> Result<(), String> {
    let [(_, kind)] = columns else {
        let names: Vec<String> = columns.iter().map(|(name, kind)| format!("`{name}` {kind}")).collect();
        return Err(format!(
            "The 'raw' format only supports single physical column. However the defined schema contains multiple physical \
             columns: [{}]",
            names.join(", ")
        ));
    };
    let fine = kind.is_text()
        || kind.is_integer()
        || kind.is_approximate()
        || matches!(kind, LogicalType::Boolean | LogicalType::Binary(_) | LogicalType::VarBinary(_));
    if fine { Ok(()) } else { Err(format!("The 'raw' format doesn't supports '{kind}' as column type.")) }
}

/// A MAP inside a type whose keys are no texts.
fn non_text_key(kind: LogicalType) -> Option<LogicalType> {
    match kind {
        LogicalType::Map(entry) if !entry.key.kind.is_text() => Some(kind),
        LogicalType::Map(entry) => non_text_key(entry.value.kind),
        LogicalType::Multiset(of) if !of.kind.is_text() => Some(kind),
        LogicalType::Array(of) => non_text_key(of.kind),
        LogicalType::Row(fields) => fields.iter().find_map(|field| non_text_key(field.data_type.kind)),
        _ => None,
    }
}
