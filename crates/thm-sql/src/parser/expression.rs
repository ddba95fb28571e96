//! Expressions of Flink that sqlparser does not read: nested types in CAST, `MAP[…]`, `ROW(…)`, intervals, JSON
//! functions with their clauses, `IS JSON`, `BETWEEN SYMMETRIC`, units of time. Each becomes a call in sqlparser's tree;
//! words that are no values become named arguments.

use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, UnaryOperator, Value,
};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

use super::data_type;
use super::dialect::FlinkDialect;

type Read = Result<Expr, ParserError>;

/// A word without quotes, in upper case.
fn word_at(parser: &Parser<'_>, ahead: usize) -> Option<String> {
    match &parser.peek_nth_token_ref(ahead).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    }
}

fn eat(parser: &mut Parser<'_>, words: &[&str]) -> bool {
    let found =
        words.iter().enumerate().all(|(ahead, word)| word_at(parser, ahead).is_some_and(|found| found == *word));
    if found {
        words.iter().for_each(|_| parser.advance_token());
    }
    found
}

fn expect(parser: &mut Parser<'_>, words: &[&str]) -> Result<(), ParserError> {
    if eat(parser, words) { Ok(()) } else { parser.expected(&words.join(" "), parser.peek_token()) }
}

/// A call; `span` is that of its first word.
fn call(name: &str, span: Span, args: Vec<FunctionArg>) -> Expr {
    let ident = Ident::with_span(span, name);
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(ident)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn plain(value: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(value))
}

fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).with_empty_span())
}

fn option(name: &str, value: Expr) -> FunctionArg {
    FunctionArg::Named {
        name: Ident::new(name),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::RightArrow,
    }
}

/// `(VALUES …)` where a value stands.
fn values(parser: &mut Parser<'_>) -> Read {
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Subquery(query))
}

/// Forms that begin with a word of their own; `None` leaves the text to sqlparser.
pub(super) fn prefix(parser: &mut Parser<'_>) -> Option<Read> {
    if parser.peek_token_ref().token == Token::LParen && word_at(parser, 1).is_some_and(|word| word == "VALUES") {
        return Some(values(parser));
    }
    let word = word_at(parser, 0)?;
    let span = parser.peek_token_ref().span;
    let next = &parser.peek_nth_token_ref(1).token;
    let read: fn(&mut Parser<'_>, Span, &str) -> Read = match (word.as_str(), next) {
        ("CAST" | "TRY_CAST", Token::LParen) => cast,
        ("MAP", Token::LBracket) => map,
        ("ARRAY" | "MAP" | "MULTISET", Token::LParen) if !opens_query(parser) => no_query,
        ("JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS", Token::LParen) => json_path,
        ("JSON_OBJECT" | "JSON_ARRAY", Token::LParen) => json_made,
        ("POSITION", Token::LParen) => position,
        ("TIMESTAMPADD" | "TIMESTAMPDIFF", Token::LParen) => with_unit,
        ("INTERVAL", Token::SingleQuotedString(_) | Token::Minus | Token::Plus) => interval,
        ("INTERVAL", Token::Number(..) | Token::LParen | Token::Word(_)) => interval,
        (_, Token::SingleQuotedString(_)) if word.starts_with("_UTF") || word.starts_with("_LATIN") => introduced,
        _ => return None,
    };
    parser.advance_token();
    Some(read(parser, span, &word))
}

/// Whether a query, or nothing at all, stands in the parentheses behind this word.
fn opens_query(parser: &Parser<'_>) -> bool {
    let inside = word_at(parser, 2);
    parser.peek_nth_token_ref(2).token == Token::RParen
        || inside.is_some_and(|word| matches!(word.as_str(), "SELECT" | "VALUES" | "WITH"))
}

/// `ARRAY(1)`: in parentheses Flink wants a query there.
fn no_query(_: &mut Parser<'_>, span: Span, word: &str) -> Read {
    let at = span.start;
    let message = format!("Non-query expression encountered in illegal context; write {word}[…]");
    Err(ParserError::ParserError(format!("{message} at Line: {}, Column: {}", at.line, at.column)))
}

fn cast(parser: &mut Parser<'_>, _: Span, word: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    expect(parser, &["AS"])?;
    // The units of an interval count where a number becomes one.
    let data_type = if eat(parser, &["INTERVAL"]) {
        data_type::named(&format!("INTERVAL {}", qualifier(parser)?))
    } else {
        data_type::written(parser)?
    };
    parser.expect_token(&Token::RParen)?;
    let kind = if word == "CAST" { CastKind::Cast } else { CastKind::TryCast };
    Ok(Expr::Cast { kind, expr, data_type, array: false, format: None })
}

fn map(parser: &mut Parser<'_>, span: Span, _: &str) -> Read {
    parser.expect_token(&Token::LBracket)?;
    let values = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(call("MAP", span, values.into_iter().map(plain).collect()))
}

/// `_UTF8'text'`: all texts are Unicode's.
fn introduced(parser: &mut Parser<'_>, _: Span, _: &str) -> Read {
    parser.parse_prefix()
}

/// `POSITION(part IN text [FROM start])`
fn position(parser: &mut Parser<'_>, span: Span, _: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    let between = FlinkDialect.prec_value(Precedence::Between);
    let mut arguments = vec![plain(parser.parse_subexpr(between)?)];
    expect(parser, &["IN"])?;
    arguments.push(plain(parser.parse_expr()?));
    if eat(parser, &["FROM"]) {
        arguments.push(plain(parser.parse_expr()?));
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call("POSITION", span, arguments))
}

/// `TIMESTAMPADD(UNIT, …)`
fn with_unit(parser: &mut Parser<'_>, span: Span, word: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    const UNITS: &[&str] = &["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];
    const PARTS: &[&str] = &["MICROSECOND", "NANOSECOND", "FRAC_SECOND"];
    let unit = word_at(parser, 0).map(|unit| unit.strip_prefix("SQL_TSI_").map_or(unit.clone(), str::to_owned));
    let known = |unit: &str| UNITS.contains(&unit) || word == "TIMESTAMPDIFF" && PARTS.contains(&unit);
    let Some(unit) = unit.filter(|unit| known(unit)) else {
        return parser.expected(&format!("one of {}", UNITS.join(", ")), parser.peek_token());
    };
    parser.advance_token();
    let mut arguments = vec![plain(text(&unit))];
    while parser.consume_token(&Token::Comma) {
        arguments.push(plain(parser.parse_expr()?));
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call(word, span, arguments))
}

/// Units of an interval's qualifier. Each may stand in the plural.
const UNITS: &[&str] = &["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];

/// The unit that a word names.
pub(super) fn unit_of(word: &str) -> Option<&'static str> {
    UNITS.iter().copied().find(|unit| word.strip_prefix(*unit).is_some_and(|rest| matches!(rest, "" | "S")))
}

/// The unit that stands here, taken.
fn unit(parser: &mut Parser<'_>) -> Result<&'static str, ParserError> {
    let Some(unit) = word_at(parser, 0).and_then(|word| unit_of(&word)) else {
        return parser.expected(&format!("one of {}", UNITS.join(", ")), parser.peek_token());
    };
    parser.advance_token();
    Ok(unit)
}

/// Units with their precisions: `DAY(3) TO SECOND(3)`, as text.
fn qualifier(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let mut out = String::new();
    let mut last = None;
    loop {
        let place = parser.peek_token();
        let unit = unit(parser)?;
        let position = UNITS.iter().position(|known| *known == unit);
        if last >= position {
            return parser.expected("a smaller unit", place);
        }
        last = position;
        out.push_str(unit);
        if parser.consume_token(&Token::LParen) {
            out.push('(');
            while !parser.consume_token(&Token::RParen) {
                if parser.peek_token_ref().token == Token::EOF {
                    return parser.expected(")", parser.peek_token());
                }
                out.push_str(&parser.next_token().to_string());
            }
            out.push(')');
        }
        if !eat(parser, &["TO"]) {
            return Ok(out);
        }
        out.push_str(" TO ");
    }
}

/// `INTERVAL [-]'text' UNIT [TO UNIT]`, `INTERVAL [-]number UNIT`: so many times one unit.
fn interval(parser: &mut Parser<'_>, span: Span, _: &str) -> Read {
    let negative = parser.consume_token(&Token::Minus);
    let _ = !negative && parser.consume_token(&Token::Plus);
    let of = |value: &str, units: &str| call("$INTERVAL", span, vec![plain(text(value)), plain(text(units))]);
    let found = parser.peek_token();
    let interval = if let Token::SingleQuotedString(value) = &found.token {
        parser.advance_token();
        of(value, &qualifier(parser)?)
    } else {
        let count = match &found.token {
            Token::Number(..) => Expr::Value(parser.parse_value()?),
            Token::LParen => {
                parser.advance_token();
                let inner = parser.parse_expr()?;
                parser.expect_token(&Token::RParen)?;
                Expr::Nested(Box::new(inner))
            }
            Token::Word(_) => {
                let mut parts = vec![parser.parse_identifier()?];
                while parser.consume_token(&Token::Period) {
                    parts.push(parser.parse_identifier()?);
                }
                Expr::CompoundIdentifier(parts)
            }
            _ => return parser.expected("a number, or a text in single quotes", found),
        };
        let one = of("1", unit(parser)?);
        let product = Expr::BinaryOp { left: Box::new(count), op: BinaryOperator::Multiply, right: Box::new(one) };
        Expr::Nested(Box::new(product))
    };
    Ok(if negative { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(interval) } } else { interval })
}

/// `JSON_VALUE(text, path [RETURNING type] [… ON EMPTY] [… ON ERROR])` and its like.
fn json_path(parser: &mut Parser<'_>, span: Span, word: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    let mut arguments = vec![plain(parser.parse_expr()?)];
    parser.expect_token(&Token::Comma)?;
    arguments.push(plain(parser.parse_expr()?));
    if word != "JSON_EXISTS" && eat(parser, &["RETURNING"]) {
        let returned = data_type::written(parser)?;
        arguments.push(option("RETURNING", text(&returned.to_string().trim_matches('`').replace("``", "`"))));
    }
    if word == "JSON_QUERY"
        && let Some(wrapper) = wrapper(parser)?
    {
        arguments.push(option("WRAPPER", text(wrapper)));
    }
    while !parser.consume_token(&Token::RParen) {
        let (behaviour, default) = behaviour(parser, word)?;
        expect(parser, &["ON"])?;
        let place = if word != "JSON_EXISTS" && eat(parser, &["EMPTY"]) {
            "EMPTY"
        } else {
            expect(parser, &["ERROR"])?;
            "ERROR"
        };
        arguments.push(option(place, text(behaviour)));
        if let Some(default) = default {
            arguments.push(option(&format!("{place} DEFAULT"), default));
        }
    }
    Ok(call(word, span, arguments))
}

fn wrapper(parser: &mut Parser<'_>) -> Result<Option<&'static str>, ParserError> {
    let found = if eat(parser, &["WITHOUT"]) {
        "WITHOUT"
    } else if eat(parser, &["WITH", "CONDITIONAL"]) {
        "CONDITIONAL"
    } else if eat(parser, &["WITH", "UNCONDITIONAL"]) || eat(parser, &["WITH"]) {
        "UNCONDITIONAL"
    } else {
        return Ok(None);
    };
    let _ = eat(parser, &["ARRAY"]);
    expect(parser, &["WRAPPER"])?;
    Ok(Some(found))
}

fn behaviour(parser: &mut Parser<'_>, word: &str) -> Result<(&'static str, Option<Expr>), ParserError> {
    let known: &[(&[&str], &str)] = match word {
        "JSON_EXISTS" => {
            &[(&["TRUE"], "TRUE"), (&["FALSE"], "FALSE"), (&["UNKNOWN"], "UNKNOWN"), (&["ERROR"], "ERROR")]
        }
        "JSON_QUERY" => &[
            (&["NULL"], "NULL"),
            (&["ERROR"], "ERROR"),
            (&["EMPTY", "ARRAY"], "EMPTY ARRAY"),
            (&["EMPTY", "OBJECT"], "EMPTY OBJECT"),
        ],
        _ => &[(&["NULL"], "NULL"), (&["ERROR"], "ERROR")],
    };
    if let Some((_, found)) = known.iter().find(|(words, _)| eat(parser, words)) {
        return Ok((found, None));
    }
    if word == "JSON_VALUE" && eat(parser, &["DEFAULT"]) {
        return Ok(("DEFAULT", Some(parser.parse_expr()?)));
    }
    let wanted: Vec<String> = known.iter().map(|(words, _)| words.join(" ")).collect();
    parser.expected(&format!("one of {}, or \")\"", wanted.join(", ")), parser.peek_token())
}

/// `JSON_OBJECT('k' VALUE v, … [NULL | ABSENT ON NULL])`, `JSON_ARRAY(v, … [NULL | ABSENT ON NULL])`
fn json_made(parser: &mut Parser<'_>, span: Span, word: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    let mut arguments = Vec::new();
    let ends =
        |parser: &mut Parser<'_>| ["NULL", "ABSENT"].into_iter().find(|found| eat(parser, &[found, "ON", "NULL"]));
    let mut nulls = ends(parser);
    while nulls.is_none() && parser.peek_token_ref().token != Token::RParen {
        if word == "JSON_OBJECT" {
            let _ = eat(parser, &["KEY"]);
            // Before a colon and a name the text would be taken for an access to a field.
            let colon = parser.peek_nth_token_ref(1).token == Token::Colon;
            let key = if colon { parser.parse_prefix()? } else { parser.parse_expr()? };
            arguments.push(plain(key));
            if !parser.consume_token(&Token::Colon) {
                expect(parser, &["VALUE"])?;
            }
        }
        arguments.push(plain(parser.parse_expr()?));
        nulls = ends(parser);
        if nulls.is_none() && !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    if let Some(nulls) = nulls {
        arguments.push(option("NULLS", text(nulls)));
    }
    Ok(call(word, span, arguments))
}

/// How tightly a form behind an expression binds; `None` leaves it to sqlparser.
pub(super) fn precedence(parser: &Parser<'_>) -> Option<u8> {
    let is = word_at(parser, 0)?;
    if unit_of(&is).is_some() && parser.get_current_token().token == Token::RParen {
        return Some(FlinkDialect.prec_value(Precedence::Period));
    }
    None
}

/// Forms that stand behind an expression.
pub(super) fn infix(parser: &mut Parser<'_>, left: &Expr) -> Option<Read> {
    let span = parser.peek_token_ref().span;
    match word_at(parser, 0)?.as_str() {
        "IS" => {
            let negated = word_at(parser, 1)? == "NOT";
            if word_at(parser, 1 + usize::from(negated))? != "JSON" {
                return None;
            }
            (0..2 + usize::from(negated)).for_each(|_| parser.advance_token());
            let kinds = ["VALUE", "SCALAR", "ARRAY", "OBJECT"];
            let kind = kinds.into_iter().find(|kind| eat(parser, &[kind])).unwrap_or("VALUE");
            let found = call("IS JSON", span, vec![plain(left.clone()), plain(text(kind))]);
            Some(Ok(negate(found, negated)))
        }
        word if unit_of(word).is_some() => Some(
            qualifier(parser).map(|units| call("$DIFFERENCE", span, vec![plain(left.clone()), plain(text(&units))])),
        ),
        "BETWEEN" | "NOT" => between(parser, left, span),
        _ => None,
    }
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}

/// `[NOT] BETWEEN SYMMETRIC | ASYMMETRIC a AND b`
fn between(parser: &mut Parser<'_>, left: &Expr, span: Span) -> Option<Read> {
    let negated = word_at(parser, 0)? == "NOT";
    let at = usize::from(negated);
    if word_at(parser, at)? != "BETWEEN" {
        return None;
    }
    let symmetric = match word_at(parser, at + 1)?.as_str() {
        "SYMMETRIC" => true,
        "ASYMMETRIC" => false,
        _ => return None,
    };
    (0..at + 2).for_each(|_| parser.advance_token());
    let tight = FlinkDialect.prec_value(Precedence::Between);
    let read = |parser: &mut Parser<'_>| -> Read {
        let low = parser.parse_subexpr(tight)?;
        expect(parser, &["AND"])?;
        let high = parser.parse_subexpr(tight)?;
        if !symmetric {
            return Ok(Expr::Between {
                expr: Box::new(left.clone()),
                negated,
                low: Box::new(low),
                high: Box::new(high),
            });
        }
        let arguments = vec![plain(left.clone()), plain(low), plain(high)];
        Ok(negate(call("BETWEEN SYMMETRIC", span, arguments), negated))
    };
    Some(read(parser))
}
