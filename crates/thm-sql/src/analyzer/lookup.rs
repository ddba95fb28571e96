//! The condition of a look-up join → key expressions of both sides, and what remains.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, Expr as Ast, Spanned as _};
use sqlparser::tokenizer::Span;

use super::expr::Typer;
use super::logic::{Junction, joined};
use super::lookup_hint::LookupHint;
use super::query::Lookup;
use super::scope::Scope;
use crate::catalog::Table;
use crate::connector::Connector;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::types::{LogicalType, coerce};

/// Binds a look-up of `table` to the left side, whose input has `width` columns; adds the table's columns to the scope.
pub(super) fn bind(
    table: &Arc<Table>,
    alias: &str,
    outer: bool,
    condition: &Ast,
    (scope, width): (&mut Scope, usize),
    span: Span,
) -> SqlResult<Lookup> {
    if !matches!(table.connector, Connector::Jdbc(_)) {
        let message = format!("table '{}' can't be looked up", table.name);
        return Err(
            SqlDiagnostic::new(span, message).with_hint("FOR SYSTEM_TIME AS OF takes a table of the connector 'jdbc'.")
        );
    }
    let left = scope.clone();
    let own = Scope { columns: table.scope(alias) };
    let mut parts = Vec::new();
    conjuncts(condition, &mut parts);
    let mut lookup = Lookup {
        table: Arc::clone(table),
        outer,
        keys: Vec::new(),
        table_keys: Vec::new(),
        residual: None,
        hint: LookupHint::default(),
        span,
    };
    let mut rest = Vec::new();
    for part in parts {
        match key(part, &left, &own)? {
            Some((ours, theirs)) => {
                lookup.keys.push(ours);
                lookup.table_keys.push(theirs);
            }
            None => rest.push(part),
        }
    }
    if lookup.keys.is_empty() {
        let message = "Temporal table join requires an equality condition on fields of table";
        return Err(SqlDiagnostic::new(condition.span(), format!("{message} [{}].", table.path))
            .with_hint("Write ON with an equality of a column of each side."));
    }
    let mut added = own.columns;
    for column in &mut added {
        column.value = column.value.take().map(|value| shifted(value, width, outer));
    }
    scope.columns.extend(added);
    let conditions = rest.into_iter().map(|part| Typer::new(scope).condition(part, "ON"));
    lookup.residual = joined(Junction::And, conditions.collect::<SqlResult<Vec<_>>>()?);
    Ok(lookup)
}

fn conjuncts<'a>(condition: &'a Ast, out: &mut Vec<&'a Ast>) {
    match condition {
        Ast::Nested(inner) => conjuncts(inner, out),
        Ast::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        other => out.push(other),
    }
}

/// An equality with one side of each table, in the type in which Flink compares them.
fn key(condition: &Ast, left: &Scope, own: &Scope) -> SqlResult<Option<(Expr, Expr)>> {
    let Ast::BinaryOp { left: a, op: BinaryOperator::Eq, right: b } = condition else { return Ok(None) };
    for (ours, theirs) in [(a, b), (b, a)] {
        let sides = (Typer::new(left).value(ours), Typer::new(own).value(theirs));
        let (Ok(ours), Ok(theirs)) = sides else { continue };
        if theirs.is_constant() {
            continue;
        }
        let common = coerce::comparison_type(ours.data_type, theirs.data_type).ok_or_else(|| {
            let (x, y) = (ours.data_type.kind, theirs.data_type.kind);
            SqlDiagnostic::new(
                condition.span(),
                format!("implicit type conversion between {x} and {y} is not supported now"),
            )
            .with_hint("Declare both columns with one type, or cast one of them.")
        })?;
        // CHAR and VARCHAR are compared as they are.
        let common = if common.is_text() { LogicalType::STRING } else { common };
        return Ok(Some((ours.cast(common), theirs.cast(common))));
    }
    Ok(None)
}

/// The same expression with its columns moved behind those of the left side; nullable behind a LEFT JOIN.
fn shifted(mut expr: Expr, by: usize, outer: bool) -> Expr {
    shift(&mut expr, by, outer);
    expr
}

fn shift(expr: &mut Expr, by: usize, outer: bool) {
    if outer {
        expr.data_type.nullable = true;
    }
    if let ExprKind::Column(index) = &mut expr.kind {
        *index += by;
    }
    expr.children_mut().into_iter().for_each(|child| shift(child, by, outer));
}
