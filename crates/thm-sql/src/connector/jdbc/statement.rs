//! The text of a look-up's query, made from what the table's columns are in the database.
//!
//! ```text
//!   keys: one text[] per column ─▶ WHERE col = ANY(…)  or  (a, b) IN (SELECT … FROM unnest(…, …))
//!   answers: every column as text ─▶ CAST to the declared type, as if the text stood in SQL
//! ```
//! The query is a filter before the join, which compares again by Flink's rules: it may give a row too many and must not
//! lose one. A column is compared in its own type where the key's text can be read in it, so that indexes are used.

use tokio_postgres::types::Type;

use crate::types::LogicalType;

/// A column of the table as the database describes it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// Its name there.
    pub name: String,
    /// Its type there.
    pub kind: Type,
}

/// One part of a look-up's key.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    /// SQL that is compared.
    compared: String,
    /// Type that the texts of keys are read in.
    read_as: &'static str,
}

impl KeyColumn {
    /// `compared_in` is the type in which the join compares.
    pub fn new(column: &Described, compared_in: LogicalType) -> Self {
        let name = identifier(&column.name);
        let number = matches!(column.kind, Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC);
        let read_as = match column.kind {
            _ if number && matches!(compared_in, LogicalType::Decimal { .. }) => "numeric",
            _ if number && compared_in.is_approximate() => "double precision",
            Type::TEXT | Type::VARCHAR | Type::NAME => "text",
            Type::UUID => "uuid",
            Type::INT2 | Type::INT4 | Type::INT8 => "bigint",
            Type::NUMERIC => "numeric",
            Type::FLOAT4 => "real",
            Type::FLOAT8 => "double precision",
            Type::BOOL => "boolean",
            Type::DATE => "date",
            Type::TIMESTAMP => "timestamp",
            Type::TIMESTAMPTZ => "timestamptz",
            _ => return Self { compared: as_text(column), read_as: "text" },
        };
        Self { compared: name, read_as }
    }

    /// Whether a key's text can be read in the column's type; others match nothing.
    pub fn can_be(&self, text: &str) -> bool {
        match self.read_as {
            "uuid" => is_canonical_uuid(text),
            "bigint" => text.parse::<i64>().is_ok(),
            _ => !text.contains('\0'),
        }
    }
}

/// `SELECT` of some columns as texts, for keys given as one `text[]` per column.
pub(super) fn select(relation: &str, columns: &[&Described], keys: &[KeyColumn]) -> String {
    let mut shown: Vec<String> = columns.iter().map(|column| as_text(column)).collect();
    if shown.is_empty() {
        shown.push("''".to_owned());
    }
    let parameter = |(at, key): (usize, &KeyColumn)| format!("${}::text[]::{}[]", at + 1, key.read_as);
    let filter = match keys {
        [only] => format!("{} = ANY({})", only.compared, parameter((0, only))),
        _ => {
            let compared: Vec<&str> = keys.iter().map(|key| key.compared.as_str()).collect();
            let given: Vec<String> = keys.iter().enumerate().map(parameter).collect();
            format!("({}) IN (SELECT * FROM unnest({}))", compared.join(", "), given.join(", "))
        }
    };
    format!("SELECT {} FROM {relation} WHERE {filter}", shown.join(", "))
}

/// A column as text that CAST can read in the declared type.
fn as_text(column: &Described) -> String {
    let name = identifier(&column.name);
    match column.kind {
        // A cast would take the blanks at the end away.
        Type::BPCHAR => format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END"),
        Type::TIMESTAMPTZ => format!("({name} AT TIME ZONE 'UTC')::text"),
        Type::BYTEA => format!("encode({name}, 'hex')"),
        // The session's zone is UTC.
        Type::TIMESTAMPTZ_ARRAY => format!("{name}::timestamp[]::text"),
        _ => format!("{name}::text"),
    }
}

/// Lower case, 8-4-4-4-12: as PostgreSQL prints them, which is what keys are compared with.
fn is_canonical_uuid(text: &str) -> bool {
    let digit = |at: usize, byte: u8| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| digit(at, byte))
}

/// Quotes an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Type) -> Described {
        Described { name: name.to_owned(), kind }
    }

    #[test]
    fn one_key_is_compared_in_the_columns_own_type_so_that_its_index_is_used() {
        let (id, blank) = (column("id", Type::UUID), column("Code", Type::BPCHAR));
        let key = KeyColumn::new(&id, LogicalType::STRING);
        let text = select("users", &[&id, &blank], std::slice::from_ref(&key));
        let blanks = r#"CASE WHEN "Code" IS NOT NULL THEN format('%s', "Code") END"#;
        assert_eq!(text, format!(r#"SELECT "id"::text, {blanks} FROM users WHERE "id" = ANY($1::text[]::uuid[])"#));
        assert!(key.can_be("00000001-1111-1111-1111-111111111111"));
        assert!(!key.can_be("00000001-1111-1111-1111-11111111111A") && !key.can_be("1"));
    }

    #[test]
    fn several_keys_are_compared_as_rows_and_other_types_as_text() {
        let keys = [
            KeyColumn::new(&column("a", Type::INT4), LogicalType::Int),
            KeyColumn::new(&column("b", Type::JSONB), LogicalType::STRING),
        ];
        assert_eq!(
            select("t", &[], &keys),
            r#"SELECT '' FROM t WHERE ("a", "b"::text) IN (SELECT * FROM unnest($1::text[]::bigint[], $2::text[]::text[]))"#
        );
    }
}
