//! Flink's data types, nested ones included. sqlparser's tree has no place for `ROW<a INT NOT NULL>`; a type that has been
//! read travels in it as one quoted name, the type as it prints, which [`from_name`] reads again.

use sqlparser::ast::{DataType as Written, Ident, ObjectName, ObjectNamePart};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::dialect::FlinkDialect;
use super::{expression, reserved};
use crate::types::nested::RowField;
use crate::types::{DataType, LogicalType, MAX_LENGTH};

/// Deepest type: it is walked recursively.
const MAX_DEPTH: usize = 50;

/// Reads a type with its nullability, and wraps it for sqlparser's tree.
pub fn written(parser: &mut Parser<'_>) -> Result<Written, ParserError> {
    let read = data_type(parser, 0)?;
    Ok(wrapped(read))
}

/// A type as one quoted name.
#[must_use]
pub fn wrapped(data_type: DataType) -> Written {
    named(&data_type.to_string())
}

/// The text of a type as one quoted name.
pub(super) fn named(text: &str) -> Written {
    let name = Ident::with_quote('`', text);
    Written::Custom(ObjectName(vec![ObjectNamePart::Identifier(name)]), Vec::new())
}

/// The type behind such a name; `None` if it is something else.
#[must_use]
pub fn from_name(written: &Written) -> Option<DataType> {
    let Written::Custom(name, arguments) = written else { return None };
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    if ident.quote_style != Some('`') || !arguments.is_empty() {
        return None;
    }
    let tokens = Tokenizer::new(&FlinkDialect, &ident.value).tokenize_with_location().ok()?;
    let kept = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut parser = Parser::new(&FlinkDialect).with_tokens_with_locations(split_shifts(kept));
    data_type(&mut parser, 0).ok()
}

/// `>>` closes two types: Flink has no operator of that name.
#[must_use]
pub fn split_shifts(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token.token == Token::ShiftRight {
            out.push(TokenWithSpan { token: Token::Gt, span: token.span });
            out.push(TokenWithSpan { token: Token::Gt, span: token.span });
        } else {
            out.push(token);
        }
    }
    out
}

fn word(parser: &Parser<'_>) -> Option<String> {
    match &parser.peek_token_ref().token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    }
}

fn eat(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = word(parser).is_some_and(|word| word == wanted);
    if found {
        parser.advance_token();
    }
    found
}

fn wrong<T>(parser: &Parser<'_>, message: &str) -> Result<T, ParserError> {
    let at = parser.peek_token_ref().span.start;
    Err(ParserError::ParserError(format!("{message} at Line: {}, Column: {}", at.line, at.column)))
}

/// A type, `NOT NULL` or `NULL`, and `ARRAY` or `MULTISET` behind it.
fn data_type(parser: &mut Parser<'_>, depth: usize) -> Result<DataType, ParserError> {
    if depth > MAX_DEPTH {
        return wrong(parser, "the type is nested too deeply");
    }
    let kind = kind(parser, depth)?;
    let mut out = kind.nullable(nullability(parser)?);
    loop {
        let kind = match word(parser).as_deref() {
            Some("ARRAY") => LogicalType::array(out),
            Some("MULTISET") => LogicalType::multiset(out),
            _ => return Ok(out),
        };
        parser.advance_token();
        out = kind.nullable(nullability(parser)?);
    }
}

fn nullability(parser: &mut Parser<'_>) -> Result<bool, ParserError> {
    if eat(parser, "NOT") {
        return if eat(parser, "NULL") { Ok(false) } else { parser.expected("NULL", parser.peek_token()) };
    }
    // Behind RETURNING, `NULL ON EMPTY` is no part of the type.
    let on = matches!(&parser.peek_nth_token_ref(1).token, Token::Word(word) if word.value.eq_ignore_ascii_case("ON"));
    if !on {
        let _ = eat(parser, "NULL");
    }
    Ok(true)
}

fn kind(parser: &mut Parser<'_>, depth: usize) -> Result<LogicalType, ParserError> {
    let Some(name) = word(parser) else { return parser.expected("a data type", parser.peek_token()) };
    let start = parser.peek_token();
    parser.advance_token();
    Ok(match name.as_str() {
        "BOOLEAN" => LogicalType::Boolean,
        "TINYINT" => LogicalType::TinyInt,
        "SMALLINT" => LogicalType::SmallInt,
        "INT" | "INTEGER" => LogicalType::Int,
        "BIGINT" => LogicalType::BigInt,
        "FLOAT" => LogicalType::Float,
        "DOUBLE" => {
            let _ = eat(parser, "PRECISION");
            LogicalType::Double
        }
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(parser)?,
        "CHAR" | "CHARACTER" if !eat(parser, "VARYING") => LogicalType::Char(length(parser, 1)?),
        // Flink's documents say 1, its planner takes the longest.
        "CHAR" | "CHARACTER" | "VARCHAR" => LogicalType::VarChar(length(parser, MAX_LENGTH)?),
        "STRING" => LogicalType::STRING,
        "BINARY" if !eat(parser, "VARYING") => LogicalType::Binary(length(parser, 1)?),
        "BINARY" | "VARBINARY" => LogicalType::VarBinary(length(parser, MAX_LENGTH)?),
        "BYTES" => LogicalType::BYTES,
        "DATE" => LogicalType::Date,
        "TIME" => LogicalType::Time(fraction(parser, 0)?),
        "TIMESTAMP" => timestamp(parser)?,
        "TIMESTAMP_LTZ" => LogicalType::TimestampLtz(fraction(parser, 6)?),
        "INTERVAL" => interval(parser)?,
        "ARRAY" | "MULTISET" => {
            parser.expect_token(&Token::Lt)?;
            let of = data_type(parser, depth + 1)?;
            parser.expect_token(&Token::Gt)?;
            if name == "ARRAY" { LogicalType::array(of) } else { LogicalType::multiset(of) }
        }
        "MAP" => {
            parser.expect_token(&Token::Lt)?;
            let key = data_type(parser, depth + 1)?;
            parser.expect_token(&Token::Comma)?;
            let value = data_type(parser, depth + 1)?;
            parser.expect_token(&Token::Gt)?;
            LogicalType::map(key, value)
        }
        "ROW" => row(parser, depth)?,
        _ => {
            let at = start.span.start;
            let message = format!("type {name} is not supported at Line: {}, Column: {}", at.line, at.column);
            return Err(ParserError::ParserError(message));
        }
    })
}

fn row(parser: &mut Parser<'_>, depth: usize) -> Result<LogicalType, ParserError> {
    let close = if parser.consume_token(&Token::LParen) {
        Token::RParen
    } else {
        parser.expect_token(&Token::Lt)?;
        Token::Gt
    };
    let mut fields: Vec<RowField> = Vec::new();
    if parser.consume_token(&close) {
        return Ok(LogicalType::row(fields));
    }
    loop {
        let place = parser.peek_token();
        let name = parser.parse_identifier()?;
        if reserved::check_name(&name).is_err() {
            return parser.expected("<IDENTIFIER>", place);
        }
        let name = name.value;
        if fields.iter().any(|field| field.name == name) {
            return wrong(parser, &format!("Field names must be unique. Found duplicates: [{name}]"));
        }
        fields.push(RowField { name, data_type: data_type(parser, depth + 1)? });
        if let Token::SingleQuotedString(_) = parser.peek_token_ref().token {
            parser.advance_token();
        }
        if parser.consume_token(&close) {
            return Ok(LogicalType::row(fields));
        }
        parser.expect_token(&Token::Comma)?;
    }
}

/// `(a, b)` of at most so many numbers, if a parenthesis opens.
fn numbers(parser: &mut Parser<'_>, most: usize) -> Result<Vec<u64>, ParserError> {
    let mut out = Vec::new();
    if !parser.consume_token(&Token::LParen) {
        return Ok(out);
    }
    loop {
        let found = parser.peek_token();
        let Token::Number(digits, _) = &found.token else {
            return parser.expected("<UNSIGNED_INTEGER_LITERAL>", found);
        };
        let Ok(number) = digits.parse() else { return parser.expected("<UNSIGNED_INTEGER_LITERAL>", found) };
        out.push(number);
        parser.advance_token();
        if parser.consume_token(&Token::RParen) {
            return Ok(out);
        }
        parser.expect_token(if out.len() < most { &Token::Comma } else { &Token::RParen })?;
    }
}

fn decimal(parser: &mut Parser<'_>) -> Result<LogicalType, ParserError> {
    let given = numbers(parser, 2)?;
    let precision = given.first().copied().unwrap_or(10);
    let scale = given.get(1).copied().unwrap_or(0);
    // A higher precision is the highest, as in Calcite.
    let Some(precision) = u8::try_from(precision.min(38)).ok().filter(|precision| *precision > 0) else {
        return wrong(parser, "Decimal precision must be between 1 and 38 (both inclusive).");
    };
    let Some(scale) = u8::try_from(scale).ok().filter(|scale| *scale <= precision) else {
        let message = format!("Decimal scale must be between 0 and the precision {precision} (both inclusive).");
        return wrong(parser, &message);
    };
    Ok(LogicalType::Decimal { precision, scale })
}

/// A CAST may cut a text to nothing, as Flink has it.
fn length(parser: &mut Parser<'_>, default: u32) -> Result<u32, ParserError> {
    let given = numbers(parser, 1)?.first().copied().unwrap_or(default.into());
    match u32::try_from(given).ok().filter(|length| *length <= MAX_LENGTH) {
        Some(length) => Ok(length),
        None => wrong(parser, &format!("the length must be between 0 and {MAX_LENGTH}")),
    }
}

/// Digits of a second; more than nine are nine, as in Calcite.
fn fraction(parser: &mut Parser<'_>, default: u8) -> Result<u8, ParserError> {
    let given = numbers(parser, 1)?.first().map_or(default.into(), |given| (*given).min(9));
    Ok(u8::try_from(given).unwrap_or(default))
}

fn timestamp(parser: &mut Parser<'_>) -> Result<LogicalType, ParserError> {
    let precision = fraction(parser, 6)?;
    let zoned = eat(parser, "WITH");
    if !zoned && !eat(parser, "WITHOUT") {
        return Ok(LogicalType::Timestamp(precision));
    }
    let local = zoned && eat(parser, "LOCAL");
    if !eat(parser, "TIME") || !eat(parser, "ZONE") {
        return parser.expected("TIME ZONE", parser.peek_token());
    }
    match (zoned, local) {
        (false, _) => Ok(LogicalType::Timestamp(precision)),
        (true, true) => Ok(LogicalType::TimestampLtz(precision)),
        (true, false) => wrong(parser, "TIMESTAMP WITH TIME ZONE is not supported; write TIMESTAMP_LTZ"),
    }
}

/// Intervals print as Flink's two kinds, whatever units were written.
fn interval(parser: &mut Parser<'_>) -> Result<LogicalType, ParserError> {
    let mut last = None;
    loop {
        let Some(unit) = word(parser).and_then(|word| expression::unit_of(&word)) else {
            return parser.expected("a unit of time", parser.peek_token());
        };
        let months = matches!(unit, "YEAR" | "MONTH");
        if last.is_some_and(|last| last != months) {
            return parser.expected("a unit of the same kind", parser.peek_token());
        }
        last = Some(months);
        parser.advance_token();
        drop(numbers(parser, 2)?);
        if !eat(parser, "TO") {
            return Ok(if months { LogicalType::IntervalMonth } else { LogicalType::IntervalSecond });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_survive_their_travel() {
        for text in [
            "ROW<`x` INT NOT NULL, `y y` ARRAY<MAP<STRING, TIMESTAMP_LTZ(3)>> NOT NULL>",
            "DECIMAL(38, 18) NOT NULL",
            "INTERVAL SECOND(3)",
            "MULTISET<CHAR(3)>",
            "BYTES",
        ] {
            let name = Ident::with_quote('`', text);
            let written = Written::Custom(ObjectName(vec![ObjectNamePart::Identifier(name)]), Vec::new());
            let read = from_name(&written).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(from_name(&wrapped(read)), Some(read));
        }
    }
}
