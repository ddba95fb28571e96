//! Function calls: those that are another expression in disguise, and those of the library.

use sqlparser::ast::{Function as Ast, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::tokenizer::Span;

use super::compare::compare;
use super::expr::{Typer, arithmetic, is_null, not, searched_case};
use super::words::cannot_apply;
use super::{fold, interval, json_call, literal, words};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::sequence::Sequence;
use crate::expr::{ArithmeticOp, CompareOp, Expr, ExprKind};
use crate::functions;
use crate::types::{DataType, LogicalType, coerce};

/// Names that are expressions here: for suggestions, and SHOW FUNCTIONS.
pub(crate) const REWRITTEN: &[&str] = &[
    "COALESCE",
    "IFNULL",
    "NULLIF",
    "IF",
    "MOD",
    "TYPEOF",
    "TIMESTAMPADD",
    "CURRENT_DATABASE",
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAYOFYEAR",
    "DAYOFMONTH",
    "DAYOFWEEK",
    "HOUR",
    "MINUTE",
    "SECOND",
];

/// Names that stand without brackets.
const WITHOUT_BRACKETS: &[&str] = &["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"];

/// Types a call.
pub(super) fn function(typer: &mut Typer<'_>, ast: &Ast, span: Span) -> SqlResult<Expr> {
    let name = ast.name.to_string().to_ascii_uppercase();
    if name == "$DIFFERENCE" {
        return interval::qualified(typer, ast, span);
    }
    let plain =
        ast.over.is_none() && ast.filter.is_none() && ast.within_group.is_empty() && ast.null_treatment.is_none();
    if !plain {
        return Err(SqlDiagnostic::new(span, format!("{name} over a window is not supported yet"))
            .with_hint("Jobs are stateless so far: projections, filters and look-ups."));
    }
    if matches!(name.as_str(), "COUNT" | "SUM" | "AVG" | "MIN" | "MAX") {
        return Err(SqlDiagnostic::new(span, format!("aggregate function {name} is not supported yet"))
            .with_hint("Jobs are stateless so far: projections, filters and look-ups."));
    }
    if matches!(name.as_str(), "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS" | "JSON_OBJECT" | "JSON_ARRAY") {
        return json_call::bound(typer, &name, ast, span);
    }
    let arguments = arguments(typer, ast, span)?;
    if WITHOUT_BRACKETS.contains(&name.as_str())
        && arguments.is_empty()
        && matches!(ast.args, FunctionArguments::List(_))
    {
        return Err(SqlDiagnostic::new(span, format!("No match found for function signature {name}()"))
            .with_hint(format!("Write {name} without brackets.")));
    }
    match (name.as_str(), arguments.len()) {
        ("COALESCE", 1..) => coalesce(arguments, span),
        ("IFNULL", 2) => if_null(arguments, span),
        ("NULLIF", 2) => nullif(arguments, span),
        ("IF", 3) => conditional(arguments, span),
        ("MOD", 2) => {
            let [a, b] = pair(arguments);
            let number = |side: &Expr| side.data_type.kind.is_numeric() || side.data_type.kind == LogicalType::Null;
            if !number(&a) || !number(&b) {
                return Err(
                    cannot_apply("MOD", &[&a, &b], span).with_hint("Cast both sides to an integer or a DECIMAL.")
                );
            }
            arithmetic(ArithmeticOp::Remainder, a, b, span)
        }
        ("TYPEOF", 2) if arguments[1].data_type.kind != LogicalType::Boolean => {
            Err(SqlDiagnostic::new(span, "Invalid input arguments.")
                .with_hint("Write TYPEOF(value) or TYPEOF(value, TRUE)."))
        }
        // What these two give is JSON already.
        ("JSON_STRING", 1) if functions::is_made(&arguments[0]) => {
            let [json] = <[Expr; 1]>::try_from(arguments).expect("the arm has counted one argument");
            Ok(json)
        }
        ("TYPEOF", 1 | 2) => {
            let shown = fold::simplified_type(&arguments[0]).to_string();
            let out = literal::text_literal(&shown).cast(LogicalType::STRING);
            Ok(Expr { data_type: LogicalType::STRING.nullable(true), ..out })
        }
        ("$INTERVAL", 2) => interval::literal(&arguments, span),
        ("BETWEEN SYMMETRIC", 3) => symmetric(arguments, span),
        ("TIMESTAMPADD", 3) => interval::add_units(arguments, span),
        ("TIMESTAMPDIFF", 3) => interval::difference(arguments, span),
        ("UNIX_TIMESTAMP", 0) => bind("UNIX_TIMESTAMP NOW", arguments, span),
        ("CURRENT_DATABASE", 0) => Ok(literal::text_literal("default_database").cast(LogicalType::STRING)),
        ("SOURCE_WATERMARK", 0) => Err(SqlDiagnostic::new(
            span,
            "SOURCE_WATERMARK() is a declarative marker function and doesn't have concrete runtime implementation.",
        )
        .with_hint("Use it in WATERMARK FOR only.")),
        (_, 1) if interval::unit_function(&name).is_some() => {
            let unit = interval::unit_function(&name).unwrap_or_default();
            let [value] = <[Expr; 1]>::try_from(arguments).expect("the arm has counted one argument");
            interval::extract(unit, value, span)
        }
        _ => bind(&name, arguments, span),
    }
}

/// BETWEEN SYMMETRIC: between the smaller and the larger of two.
fn symmetric(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let [value, a, b] = <[Expr; 3]>::try_from(arguments).expect("the caller has counted three arguments");
    let within = |low: &Expr, high: &Expr| -> SqlResult<Expr> {
        let above = compare(CompareOp::GreaterOrEqual, value.clone(), low.clone(), span)?;
        let below = compare(CompareOp::LessOrEqual, value.clone(), high.clone(), span)?;
        let nullable = above.data_type.nullable || below.data_type.nullable;
        let kind = ExprKind::And(Box::new(above), Box::new(below));
        Ok(Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) })
    };
    let (up, down) = (within(&a, &b)?, within(&b, &a)?);
    let data_type = up.data_type;
    Ok(Expr { kind: ExprKind::Or(Box::new(up), Box::new(down)), data_type })
}

fn arguments(typer: &mut Typer<'_>, ast: &Ast, span: Span) -> SqlResult<Vec<Expr>> {
    let list = match &ast.args {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => list,
        _ => return Err(SqlDiagnostic::new(span, "these arguments are not supported").with_hint("Give values only.")),
    };
    let mut out = Vec::with_capacity(list.args.len());
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => out.push(typer.expr(expr)?),
            _ => {
                return Err(SqlDiagnostic::new(span, "named arguments and * are not supported")
                    .with_hint("Give the arguments in order."));
            }
        }
    }
    Ok(out)
}

/// A column's value; one that has none is `PROCTIME()`: the time at which its row is computed.
pub(crate) fn now_where_none(value: Option<Expr>) -> Expr {
    value.unwrap_or_else(|| {
        let function = functions::find("PROCTIME").expect("the library has PROCTIME");
        let kind = ExprKind::Call { function, arguments: Vec::new() };
        Expr { kind, data_type: LogicalType::TimestampLtz(3).nullable(false) }
    })
}

/// Binds a library function to its arguments.
pub(super) fn bind(name: &str, arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let shown: Vec<String> = arguments.iter().map(|argument| format!("<{}>", argument.data_type.kind)).collect();
    let signature = format!("No match found for function signature {name}({})", shown.join(", "));
    if let Some(message) = words::wrong_count(name, arguments.len()) {
        let hint = functions::find(name).map_or("Give it the arguments that it takes.", |function| function.usage);
        return Err(SqlDiagnostic::new(span, message).with_hint(hint));
    }
    if matches!(name, "ARRAY_EXCEPT" | "ARRAY_INTERSECT" | "ARRAY_UNION") && arguments.len() != 2 {
        return Err(SqlDiagnostic::new(span, signature).with_hint("Give it two arrays."));
    }
    let Some(function) = functions::find(name) else {
        let known = functions::names().chain(REWRITTEN.iter().copied());
        let hint = match functions::nearest(name, known) {
            Some(near) => format!("Did you mean {near}?"),
            None => "Flink 1.20 has no function of this name.".to_owned(),
        };
        return Err(SqlDiagnostic::new(span, signature).with_hint(hint));
    };
    if !function.nulls && arguments.iter().any(|argument| argument.data_type.kind == LogicalType::Null) {
        return Err(
            SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
        );
    }
    let refusal = refusal(function.name, &arguments, span).unwrap_or(signature);
    if null_first(function.name, &arguments) {
        return Err(SqlDiagnostic::new(span, refusal).with_hint("Give the NULL a type: CAST(NULL AS ARRAY<INT>)."));
    }
    let (arguments, data_type) =
        (function.bind)(arguments).ok_or_else(|| SqlDiagnostic::new(span, refusal).with_hint(function.usage))?;
    let seeded = matches!((function.name, arguments.len()), ("RAND", 1) | ("RAND_INTEGER", 2));
    let seeded = seeded && matches!(arguments[0].kind, ExprKind::Literal(_));
    let call = Expr { kind: ExprKind::Call { function, arguments }, data_type };
    Ok(if seeded { Expr { kind: ExprKind::Sequenced(Box::new(call), Sequence::default()), data_type } } else { call })
}

/// Whether a NULL stands before an array in `ARRAY[…]`, where Calcite has no type for it.
fn null_first(name: &str, arguments: &[Expr]) -> bool {
    let array = |value: &Expr| matches!(value.data_type.kind, LogicalType::Array(_));
    let null = arguments.first().is_some_and(|first| first.data_type.kind == LogicalType::Null);
    name == "ARRAY" && null && arguments.iter().any(array)
}

/// Flink's words for arguments that do not go together, where it has others than for an unknown function.
fn refusal(name: &str, arguments: &[Expr], span: Span) -> Option<String> {
    match (name, arguments) {
        ("ARRAY" | "MAP", [_, ..]) => Some("Parameters must be of the same type".to_owned()),
        ("||", [a, b]) if a.data_type.kind.is_binary() && b.data_type.kind.is_binary() => {
            Some("String expression type expected.".to_owned())
        }
        ("||", [a, b]) => Some(cannot_apply("||", &[a, b], span).message().to_owned()),
        ("GREATEST" | "LEAST", [first, rest @ ..]) => {
            let apart = |other: &&Expr| coerce::common_type(&[first.data_type, other.data_type]).is_none();
            let other = rest.iter().find(apart)?;
            Some(format!(
                "All types in a comparison should support both 'EQUALS' and 'ORDER' comparison with each other. \
                 Can not compare {} with {}",
                first.data_type, other.data_type
            ))
        }
        _ => words::wrong_types(name, arguments),
    }
}

fn pair(arguments: Vec<Expr>) -> [Expr; 2] {
    <[Expr; 2]>::try_from(arguments).expect("the caller has counted two arguments")
}

/// The first argument that is not NULL.
fn coalesce(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let nullable = arguments.iter().all(|argument| argument.data_type.nullable);
    let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type).collect();
    let common = coerce::merged_type(&types).ok_or_else(|| {
        SqlDiagnostic::new(span, "Invalid input arguments. Expected signatures are: COALESCE(<COMMON>...)")
            .with_hint("Cast all arguments to one type.")
    })?;
    let mut arguments: Vec<Expr> = arguments.into_iter().map(|argument| argument.cast(common.kind)).collect();
    let last = arguments.pop().expect("the caller has counted at least one argument");
    let branches = arguments.into_iter().map(|argument| (not(is_null(argument.clone())), argument)).collect();
    let out = searched_case(branches, last, span)?;
    Ok(Expr { data_type: out.data_type.with_nullable(nullable), ..out })
}

/// The first argument, or the second where it is NULL. A text that is never NULL keeps its length.
fn if_null(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let first = arguments[0].clone();
    let out = coalesce(arguments, span)?;
    let texts = first.data_type.kind.is_text() && out.data_type.kind.is_text();
    Ok(if texts && !first.data_type.nullable { first } else { out })
}

/// NULL if both are equal, else the first.
fn nullif(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let [a, b] = pair(arguments);
    let equal = compare(CompareOp::Equal, a.clone(), b, span)?;
    let kind = a.data_type.kind;
    if matches!(kind, LogicalType::Array(_)) {
        return Err(SqlDiagnostic::new(span, "Illegal mixing of types in CASE or COALESCE statement")
            .with_hint("Write CASE WHEN a = b THEN CAST(NULL AS ARRAY<INT>) ELSE a END."));
    }
    searched_case(vec![(equal, Expr::null(kind))], a, span)
}

fn conditional(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let [condition, yes, no] = <[Expr; 3]>::try_from(arguments).expect("the caller has counted three arguments");
    if condition.data_type.kind != LogicalType::Boolean {
        return Err(cannot_apply("IF", &[&condition, &yes, &no], span).with_hint("Its first argument is a condition."));
    }
    let (first, second) = (yes.data_type.kind, no.data_type.kind);
    if [first, second].contains(&LogicalType::Null) {
        return Err(
            SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
        );
    }
    let refused = |kind: LogicalType| kind.is_nested() || kind.is_interval();
    let common = coerce::common_type(&[yes.data_type, no.data_type]);
    if refused(first) || refused(second) || common.is_none() {
        return Err(
            cannot_apply("IF", &[&condition, &yes, &no], span).with_hint("Write CASE WHEN … THEN … ELSE … END.")
        );
    }
    // Of two TIMESTAMPs, with or without a zone, the first one's type is taken.
    let no = if first.is_timestamp() && second.is_timestamp() { no.cast(first) } else { no };
    let unknown = condition.data_type.nullable;
    let out = searched_case(vec![(condition, yes)], no, span)?;
    Ok(Expr { data_type: out.data_type.with_nullable(out.data_type.nullable || unknown), ..out })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{AsArray as _, Int32Array};
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::expr::Input;

    #[test]
    fn a_seeded_sequence_goes_on_from_batch_to_batch_and_begins_anew_with_a_run() {
        let seed = Expr::literal(Int32Array::from(vec![5]), LogicalType::Int.nullable(false));
        let rand = bind("RAND", vec![seed], Span::empty()).unwrap();
        let batch = |rows: usize| {
            let column = rand.evaluate(&Input::new(&[], rows)).unwrap();
            column.as_primitive::<Float64Type>().values().to_vec()
        };
        let whole = batch(5);
        assert_eq!(whole[0], 0.730_519_863_614_471, "java.util.Random(5)");
        rand.restart();
        assert_eq!([batch(2), batch(3)].concat(), whole);
    }
}
