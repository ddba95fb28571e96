//! Reaching into values: `array[1]`, `map['key']`, `row.field`.

use arrow::array::Array as _;
use sqlparser::ast::{AccessExpr, Expr as Ast, Ident, Spanned, Subscript};
use sqlparser::tokenizer::Span;

use super::call;
use super::expr::Typer;
use super::literal::int_literal;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::functions;
use crate::parser::reserved;
use crate::types::LogicalType;

/// A value and what is reached in it, from the outside in.
pub(super) fn chain(typer: &mut Typer<'_>, root: &Ast, steps: &[AccessExpr], span: Span) -> SqlResult<Expr> {
    // `table.row.field[1]` begins with a name of several parts, which sqlparser gives as steps.
    let mut parts: Vec<Ident> = Vec::new();
    let mut rest = steps;
    if let Ast::Identifier(first) = root {
        parts.push(first.clone());
        while let Some((AccessExpr::Dot(Ast::Identifier(name)), others)) = rest.split_first() {
            parts.push(name.clone());
            rest = others;
        }
    }
    let mut value = match parts.len() {
        0 => typer.expr(root)?,
        1 => typer.expr(root)?,
        _ => typer.expr(&Ast::CompoundIdentifier(parts))?,
    };
    for step in rest {
        value = match step {
            AccessExpr::Dot(Ast::Identifier(name)) => field(value, name)?,
            AccessExpr::Subscript(Subscript::Index { index }) => item(typer, value, index, span)?,
            _ => {
                return Err(SqlDiagnostic::new(span, "this way to reach into a value is not known")
                    .with_hint("Write array[position], map[key] or row.field."));
            }
        };
    }
    Ok(value)
}

/// A field of a row; NULL if the row is.
pub(super) fn field(value: Expr, name: &Ident) -> SqlResult<Expr> {
    reserved::check_name(name)?;
    let LogicalType::Row(fields) = value.data_type.kind else {
        let message =
            format!("Incompatible types: '{}' is of type {}, which has no fields", name.value, value.data_type.kind);
        return Err(SqlDiagnostic::new(name.span, message).with_hint("Only ROW has fields."));
    };
    let Some(position) = fields.iter().position(|field| field.name == name.value) else {
        let error = SqlDiagnostic::new(name.span, format!("Column '{}' not found in any table", name.value));
        let names = fields.iter().map(|field| field.name.as_str());
        return Err(match functions::nearest(&name.value, names) {
            Some(near) => error.with_hint(format!("Did you mean '{near}'? Names are case-sensitive.")),
            None => error,
        });
    };
    let of = fields[position].data_type;
    let data_type = of.kind.nullable(of.nullable || value.data_type.nullable);
    let function = functions::find("FIELD").expect("the library has FIELD");
    let position = int_literal(i32::try_from(position).unwrap_or(i32::MAX));
    Ok(Expr { kind: ExprKind::Call { function, arguments: vec![value, position] }, data_type })
}

fn item(typer: &mut Typer<'_>, value: Expr, index: &Ast, span: Span) -> SqlResult<Expr> {
    let at = typer.value(index)?;
    if let (LogicalType::Array(_), ExprKind::Literal(array)) = (value.data_type.kind, &at.kind)
        && at.data_type.kind.is_integer()
        && array.is_valid(0)
    {
        let position = crate::expr::text::integer(array, 0, at.data_type.kind);
        if position < 1 {
            let message = format!("Array element access needs an index starting at 1 but was {position}.");
            return Err(SqlDiagnostic::new(index.span(), message));
        }
    }
    call::bind("ITEM", vec![value, at], span)
}
