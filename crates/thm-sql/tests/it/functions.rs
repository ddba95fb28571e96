//! Every function of the library on batches of one row, of NULLs only, without NULLs, and of 8,192 rows: the declared
//! type, the declared nullability, and in each row what the row alone gives.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef};
use thm_sql::CompileContext;
use thm_sql::evaluation_cost::samples::{CALLS, OPERATORS, batch, scope, typed};
use thm_sql::expr::nested::equal;
use thm_sql::expr::{Expr, ExprKind, Input};
use thm_sql::functions::{self, Changes};
use thm_sql::parser::parse_script;
use thm_sql::planner::{Outcome, Session};

/// Rows of a full batch.
const ROWS: usize = 8_192;

fn functions_of(expr: &Expr, out: &mut BTreeSet<&'static str>) {
    if let ExprKind::Call { function, .. } = &expr.kind {
        out.insert(function.name);
    }
    expr.children().into_iter().for_each(|child| functions_of(child, out));
}

fn changes(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Call { function, .. } if function.changes != Changes::Never);
    own || expr.children().into_iter().any(changes)
}

#[test]
fn every_function_has_a_sample() {
    let scope = scope();
    let mut used = BTreeSet::new();
    CALLS.iter().chain(OPERATORS).for_each(|text| functions_of(&typed(&scope, text), &mut used));
    let unused: Vec<&str> =
        functions::all().map(|function| function.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "functions without a sample: {unused:?}");
}

#[test]
fn every_function_that_is_shown_has_a_sample() {
    let mut session = Session::new(CompileContext::default());
    let statements = parse_script("SHOW FUNCTIONS").unwrap();
    let Outcome::Table(shown) = session.execute(&statements[0], None).unwrap() else { panic!("no table") };
    let words: BTreeSet<String> = CALLS
        .iter()
        .chain(OPERATORS)
        .flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .map(str::to_ascii_lowercase)
        .collect();
    let missing: Vec<&str> =
        shown.rows.iter().filter_map(|row| row[0].as_str()).filter(|name| !words.contains(*name)).collect();
    assert!(missing.is_empty(), "functions without a sample: {missing:?}");
}

fn evaluated(expr: &Expr, text: &str, columns: &[ArrayRef], rows: usize) -> ArrayRef {
    let found = expr.evaluate(&Input::new(columns, rows)).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(found.len(), rows, "{text}");
    assert_eq!(*found.data_type(), expr.data_type.kind.to_arrow(), "{text} has another type than declared");
    if !expr.data_type.nullable {
        assert_eq!(found.logical_null_count(), 0, "{text} is NOT NULL");
    }
    found
}

#[test]
fn every_batch_gives_what_its_rows_give() {
    let scope = scope();
    let full = batch(ROWS, |_| true);
    let holes = batch(ROWS, |row| row % 5 != 2);
    let nothing = batch(64, |_| false);
    for text in CALLS.iter().chain(OPERATORS) {
        let expr = typed(&scope, text);
        let kind = expr.data_type.kind;
        evaluated(&expr, text, &nothing, 64);
        for columns in [&full, &holes] {
            let all = evaluated(&expr, text, columns, ROWS);
            for row in [0, 1, 2, 7, 96, 97, 4_099, ROWS - 1] {
                let one: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
                let alone = evaluated(&expr, text, &one, 1);
                if !changes(&expr) {
                    assert!(equal(&all, row, &alone, 0, kind).unwrap(), "{text} in row {row}: {all:?}");
                }
            }
        }
        let empty: Vec<ArrayRef> = full.iter().map(|column| column.slice(0, 0)).collect();
        evaluated(&expr, text, &empty, 0);
    }
}
