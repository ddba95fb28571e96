//! JSON functions and their clauses: what is no value is put behind the arguments as constant texts, as the library
//! wants it.

use sqlparser::ast::{
    DataType as Written, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Value,
};
use sqlparser::tokenizer::Span;

use super::call;
use super::expr::Typer;
use super::literal::text_literal;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::functions::{self, json_writes};
use crate::parser::data_type;
use crate::types::{DataType, LogicalType, coerce};

/// Values and clauses of a call.
struct Parts<'a> {
    values: Vec<Expr>,
    clauses: Vec<(&'a str, &'a Ast)>,
}

impl Parts<'_> {
    fn clause(&self, name: &str) -> Option<&Ast> {
        self.clauses.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The text of a clause.
    fn word(&self, name: &str, default: &'static str) -> String {
        match self.clause(name) {
            Some(Ast::Value(value)) => match &value.value {
                Value::SingleQuotedString(text) => text.clone(),
                _ => default.to_owned(),
            },
            _ => default.to_owned(),
        }
    }
}

impl Parts<'_> {
    /// An array cannot be an empty object.
    fn no_objects(&self, span: Span) -> SqlResult<()> {
        let Some(place) = ["EMPTY", "ERROR"].into_iter().find(|place| self.word(place, "NULL") == "EMPTY OBJECT")
        else {
            return Ok(());
        };
        let place = place.to_ascii_lowercase();
        let message = format!("Illegal on {place} behavior 'EMPTY OBJECT' for return type: VARCHAR(2147483647) ARRAY");
        Err(SqlDiagnostic::new(span, message).with_hint("Write EMPTY ARRAY, or RETURNING STRING."))
    }
}

/// Types a call.
pub(super) fn bound(typer: &mut Typer<'_>, name: &str, ast: &Function, span: Span) -> SqlResult<Expr> {
    let FunctionArguments::List(list) = &ast.args else {
        return Err(SqlDiagnostic::new(span, format!("{name} needs arguments")));
    };
    let mut parts = Parts { values: Vec::new(), clauses: Vec::new() };
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => parts.values.push(typer.expr(value)?),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                parts.clauses.push((&name.value, value))
            }
            _ => return Err(SqlDiagnostic::new(span, format!("{name} takes values only"))),
        }
    }
    match name {
        "JSON_OBJECT" | "JSON_ARRAY" => made(name, parts, span),
        _ => found(typer, name, parts, span),
    }
}

fn made_call(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Expr {
    let function = functions::find(name).expect("the library has it under this name");
    Expr { kind: ExprKind::Call { function, arguments }, data_type }
}

fn found(typer: &mut Typer<'_>, name: &str, parts: Parts<'_>, span: Span) -> SqlResult<Expr> {
    for value in &parts.values {
        if value.data_type.kind == LogicalType::Null {
            return Err(
                SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
            );
        }
        if !value.data_type.kind.is_text() {
            let message = format!("Cannot apply '{name}' to arguments of type '{name}(<{}>)'", value.data_type.kind);
            return Err(SqlDiagnostic::new(span, message).with_hint("Give the JSON and the path as texts."));
        }
    }
    let returned = parts.clause("RETURNING").map(|_| returned(&parts.word("RETURNING", ""), name, span)).transpose()?;
    let mut arguments = parts.values.clone();
    let word = |name: &str| text_literal(&parts.word(name, "NULL"));
    let to = match name {
        "JSON_VALUE" => {
            let to = returned.unwrap_or(LogicalType::STRING);
            for place in ["EMPTY", "ERROR"] {
                arguments.push(word(place));
                let clause = format!("{place} DEFAULT");
                let default = parts.clause(&clause).map(|default| default_of(typer, default, to, span)).transpose()?;
                arguments.push(default.map_or_else(|| Expr::null(to), |default| default.cast(to)));
            }
            to
        }
        "JSON_QUERY" => {
            if matches!(returned, Some(LogicalType::Array(_))) {
                parts.no_objects(span)?;
            }
            arguments.extend([text_literal(&parts.word("WRAPPER", "WITHOUT")), word("EMPTY"), word("ERROR")]);
            returned.unwrap_or(LogicalType::STRING)
        }
        _ => {
            arguments.push(text_literal(&parts.word("ERROR", "FALSE")));
            LogicalType::Boolean
        }
    };
    Ok(made_call(name, arguments, to.nullable(true)))
}

/// What stands behind DEFAULT; of a boolean JSON's own text, where a text is wanted.
fn default_of(typer: &mut Typer<'_>, default: &Ast, to: LogicalType, span: Span) -> SqlResult<Expr> {
    if let Ast::Value(value) = default
        && let (true, Value::Boolean(value)) = (to.is_text(), &value.value)
    {
        return Ok(text_literal(if *value { "true" } else { "false" }));
    }
    let value = typer.value(default)?;
    let from = value.data_type.kind;
    if !coerce::explicit_cast(from, to) {
        return Err(SqlDiagnostic::new(span, format!("a DEFAULT of type {from} is no {to}"))
            .with_hint("Give a DEFAULT of the type behind RETURNING."));
    }
    // JSON writes TRUE as true.
    if from == LogicalType::Boolean && to.is_text() {
        return call::bind("LOWER", vec![value.cast(LogicalType::STRING)], span);
    }
    Ok(value)
}

/// The type behind RETURNING.
fn returned(text: &str, name: &str, span: Span) -> SqlResult<LogicalType> {
    let written =
        Written::Custom(ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('`', text))]), Vec::new());
    let kind = data_type::from_name(&written).map_or(LogicalType::Null, |data_type| data_type.kind);
    if name == "JSON_QUERY" {
        return match kind {
            LogicalType::Array(of) if of.kind.is_text() => Ok(kind),
            LogicalType::Array(of) => {
                let message =
                    format!("Unsupported array element type '{}' for RETURNING ARRAY in JSON_QUERY().", of.kind);
                Err(SqlDiagnostic::new(span, message).with_hint("Write RETURNING ARRAY<STRING>."))
            }
            _ if kind.is_text() => Ok(kind),
            _ => Err(SqlDiagnostic::new(span, format!("Unsupported type '{kind}' for RETURNING in JSON_QUERY()."))
                .with_hint("Write RETURNING STRING or RETURNING ARRAY<STRING>.")),
        };
    }
    match kind {
        LogicalType::Boolean | LogicalType::Int | LogicalType::Double => Ok(kind),
        _ if kind.is_text() => Ok(kind),
        _ => Err(SqlDiagnostic::new(span, format!("Unsupported type '{text}' for RETURNING in JSON_VALUE()."))
            .with_hint("Write RETURNING STRING, BOOLEAN, INTEGER or DOUBLE, and CAST the result.")),
    }
}

fn made(name: &str, parts: Parts<'_>, span: Span) -> SqlResult<Expr> {
    let object = name == "JSON_OBJECT";
    let nulls = parts.word("NULLS", if object { "NULL" } else { "ABSENT" });
    let mut raw = String::new();
    for (position, value) in parts.values.iter().enumerate() {
        let kind = value.data_type.kind;
        if kind == LogicalType::Null {
            return Err(
                SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
            );
        }
        let key = object && position % 2 == 0;
        if key && !kind.is_text() || !key && !json_writes(kind) {
            let message = format!("Type '{}' is not scalar or cannot be converted into JSON.", value.data_type);
            return Err(SqlDiagnostic::new(span, message).with_hint("CAST it to STRING."));
        }
        // What a JSON function made is JSON, not a text.
        let nested = functions::is_made(value);
        raw.push(if nested { '1' } else { '0' });
    }
    let mut arguments = vec![text_literal(&nulls), text_literal(&raw)];
    arguments.extend(parts.values);
    Ok(made_call(name, arguments, LogicalType::STRING.nullable(false)))
}
