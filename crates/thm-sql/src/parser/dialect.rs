//! Flink's lexical rules for sqlparser: backticks quote identifiers, `FOR SYSTEM_TIME AS OF` follows a table.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use super::{expression, reserved};

/// Whether one of sqlparser's words is reserved in Flink.
fn is_reserved(word: Keyword) -> bool {
    word != Keyword::NoKeyword && reserved::is_reserved(&format!("{word:?}"))
}

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

    fn is_reserved_for_identifier(&self, word: Keyword) -> bool {
        is_reserved(word)
    }

    fn is_column_alias(&self, word: &Keyword, _: &mut Parser<'_>) -> bool {
        !is_reserved(*word)
    }

    fn is_table_alias(&self, word: &Keyword, _: &mut Parser<'_>) -> bool {
        !is_reserved(*word)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    /// `U&'\00e9'`
    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        expression::prefix(parser)
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        expression::infix(parser, expr)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        expression::precedence(parser).map(Ok)
    }
}
