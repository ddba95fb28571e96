//! A query → its branches: each a source, what its rows pass, and what comes out. UNION ALL becomes several branches, and
//! what stands above it goes into each of them, for all of it is row by row.

use std::sync::Arc;

use crate::analyzer::query::{Lookup, Origin, Query, Step, Unnest, stateful};
use crate::catalog::Table;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::types::DataType;

/// Where a branch's rows come from.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    Scan(Arc<Table>),
    Values { types: Vec<DataType>, rows: Vec<Vec<Expr>> },
}

/// One branch.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub leaf: Leaf,
    pub steps: Vec<Step>,
    pub columns: Vec<(String, Option<Expr>)>,
    width: usize,
}

/// Most branches of a query: each is an input of the job.
const MAX_BRANCHES: usize = 256;

/// The branches of a query; what needs all rows at once is refused by name.
pub(super) fn lines(query: Query) -> SqlResult<Vec<Line>> {
    let Query { origin, steps, columns, width } = query;
    for step in &steps {
        if let Step::Subquery(subquery) = step {
            return Err(subquery.refused());
        }
    }
    match origin {
        Origin::Scan(table) => Ok(vec![Line { leaf: Leaf::Scan(table), steps, columns, width }]),
        Origin::Values { types, rows } => Ok(vec![Line { leaf: Leaf::Values { types, rows }, steps, columns, width }]),
        Origin::Blocking(blocking, span) => Err(stateful(&blocking.name(), span)),
        Origin::Union(branches) => {
            let mut out = Vec::new();
            for branch in branches {
                for line in lines(branch)? {
                    out.push(above(line, &steps, &columns));
                }
            }
            if out.len() > MAX_BRANCHES {
                let message = format!("the query has {} branches of UNION ALL, more than {MAX_BRANCHES}", out.len());
                return Err(crate::error::SqlDiagnostic::new(sqlparser::tokenizer::Span::empty(), message)
                    .with_hint("Write several INSERTs into the same table."));
            }
            Ok(out)
        }
    }
}

/// A branch with what stood above the union.
fn above(line: Line, steps: &[Step], columns: &[(String, Option<Expr>)]) -> Line {
    let Line { leaf, steps: mut own, columns: below, mut width } = line;
    // Columns behind those of the union were added by steps above it.
    let base = width;
    let replace = |index: usize, data_type: DataType| match below.get(index) {
        Some((_, Some(value))) => value.clone(),
        Some((_, None)) => Expr::null(data_type.kind),
        None => Expr::column(index - below.len() + base, data_type),
    };
    let map = |expr: &Expr| expr.clone().with_columns(&replace);
    for step in steps {
        own.push(match step {
            Step::Filter(condition) => Step::Filter(map(condition)),
            Step::Lookup(lookup) => {
                width += lookup.table.physical.len();
                Step::Lookup(Lookup {
                    keys: lookup.keys.iter().map(map).collect(),
                    residual: lookup.residual.as_ref().map(map),
                    ..lookup.clone()
                })
            }
            Step::Subquery(_) => step.clone(),
            Step::Unnest(unnest) => {
                width += unnest.types.len();
                Step::Unnest(Unnest { collection: map(&unnest.collection), ..unnest.clone() })
            }
        });
    }
    let columns = columns.iter().map(|(name, value)| (name.clone(), value.as_ref().map(map))).collect();
    Line { leaf, steps: own, columns, width }
}
