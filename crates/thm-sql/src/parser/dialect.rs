//! Flink's lexical rules for sqlparser: backticks quote identifiers, `FOR SYSTEM_TIME AS OF` follows a table.

use std::any::TypeId;

use sqlparser::dialect::{Dialect, GenericDialect};

/// Flink's default dialect.
#[derive(Debug)]
pub struct FlinkDialect;

impl Dialect for FlinkDialect {
    // The grammar has branches by dialect; the generic ones are closest to Calcite's.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }
}
