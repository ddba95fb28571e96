//! Expressions of Flink that sqlparser does not read: nested types in CAST, `MAP[…]`, `ROW(…)`, intervals, JSON
//! functions with their clauses, `IS JSON`, `BETWEEN SYMMETRIC`, units of time. Each becomes a call in sqlparser's tree;
//! words that are no values become named arguments.

use sqlparser::ast::{
    CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
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
        ("JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS", Token::LParen) => json_path,
        ("JSON_OBJECT" | "JSON_ARRAY", Token::LParen) => json_made,
        ("POSITION", Token::LParen) => position,
        ("TIMESTAMPADD" | "TIMESTAMPDIFF", Token::LParen) => with_unit,
        ("INTERVAL", Token::SingleQuotedString(_) | Token::Minus | Token::Plus) => interval,
        (_, Token::SingleQuotedString(_)) if word.starts_with("_UTF") || word.starts_with("_LATIN") => introduced,
        _ => return None,
    };
    parser.advance_token();
    Some(read(parser, span, &word))
}

fn cast(parser: &mut Parser<'_>, _: Span, word: &str) -> Read {
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    expect(parser, &["AS"])?;
    let data_type = data_type::written(parser)?;
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
    let unit = word_at(parser, 0).map(|unit| unit.strip_prefix("SQL_TSI_").map_or(unit.clone(), str::to_owned));
    let Some(unit) = unit.filter(|unit| UNITS.contains(&unit.as_str())) else {
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

/// Units with their precisions: `DAY(3) TO SECOND(3)`, as text.
fn qualifier(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    const UNITS: &[&str] = &["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    let mut out = String::new();
    loop {
        let Some(unit) = word_at(parser, 0).filter(|unit| UNITS.contains(&unit.as_str())) else {
            return parser.expected(&format!("one of {}", UNITS.join(", ")), parser.peek_token());
        };
        out.push_str(&unit);
        parser.advance_token();
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

/// `INTERVAL [-]'text' UNIT [TO UNIT]`
fn interval(parser: &mut Parser<'_>, span: Span, _: &str) -> Read {
    let negative = parser.consume_token(&Token::Minus);
    let _ = !negative && parser.consume_token(&Token::Plus);
    let found = parser.next_token();
    let Token::SingleQuotedString(value) = &found.token else {
        return parser.expected("a text in single quotes", found);
    };
    let units = qualifier(parser)?;
    let literal = call("$INTERVAL", span, vec![plain(text(value)), plain(text(&units))]);
    Ok(if negative { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(literal) } } else { literal })
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
    let unit = matches!(is.as_str(), "YEAR" | "MONTH" | "DAY" | "HOUR" | "MINUTE" | "SECOND");
    if unit && parser.get_current_token().token == Token::RParen {
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
        "YEAR" | "MONTH" | "DAY" | "HOUR" | "MINUTE" | "SECOND" => Some(
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
