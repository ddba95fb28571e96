//! Queries over constants: subqueries, and how long conditions may become.
#![allow(clippy::unwrap_used)]

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use super::bounded::{BoundedError, answer};

/// The only column of an answer, integers.
fn integers(text: &str) -> Vec<Option<i32>> {
    let found = answer(text).unwrap();
    found.columns[0].as_primitive::<Int32Type>().iter().collect()
}

/// The only value of an answer, a BOOLEAN.
fn truth(text: &str) -> Option<bool> {
    let found = answer(text).unwrap();
    found.columns[0].as_boolean().iter().next().unwrap()
}

fn refusal(text: &str) -> String {
    match answer(text).unwrap_err() {
        BoundedError::Plan(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

const T: &str = "FROM (VALUES (1), (2), (CAST(NULL AS INT))) AS t(a)";

#[test]
fn a_value_is_among_the_rows_of_a_subquery() {
    let kept = |condition: &str| integers(&format!("SELECT a {T} WHERE {condition}"));
    assert_eq!(kept("a IN (SELECT 1)"), [Some(1)]);
    assert_eq!(kept("a NOT IN (SELECT 1)"), [Some(2)]);
    assert_eq!(kept("a IN (VALUES 1, 2)"), [Some(1), Some(2)]);
    assert_eq!(kept("(a, 2) IN (SELECT 1, 2 UNION ALL SELECT 2, 3)"), [Some(1)]);
    assert_eq!(kept("a IN (SELECT 1) OR a = 2"), [Some(1), Some(2)]);
    // Beside a NULL nothing is surely absent.
    assert_eq!(kept("a NOT IN (SELECT 1 UNION ALL SELECT CAST(NULL AS INT))"), []);
    // Without a row everything is.
    assert_eq!(kept("a NOT IN (SELECT b FROM (VALUES 1) AS u(b) WHERE FALSE)").len(), 3);
}

#[test]
fn what_is_unknown_in_a_subquery_is_unknown() {
    assert_eq!(truth("SELECT 1 IN (SELECT b FROM (VALUES (2), (CAST(NULL AS INT))) AS u(b))"), None);
    assert_eq!(truth("SELECT 2 IN (SELECT b FROM (VALUES (2), (CAST(NULL AS INT))) AS u(b))"), Some(true));
    assert_eq!(truth("SELECT CAST(NULL AS INT) IN (SELECT 1)"), None);
    assert_eq!(truth("SELECT CAST(NULL AS INT) IN (SELECT b FROM (VALUES 1) AS u(b) WHERE b > 1)"), Some(false));
}

#[test]
fn a_subquery_is_a_value_or_exists() {
    assert_eq!(integers("SELECT (SELECT 1) + 1"), [Some(2)]);
    assert_eq!(integers("SELECT (SELECT b FROM (VALUES 1) AS u(b) WHERE b > 1)"), [None]);
    assert_eq!(truth("SELECT EXISTS (SELECT 1)"), Some(true));
    assert_eq!(truth("SELECT NOT EXISTS (SELECT b FROM (VALUES 1) AS u(b) WHERE b > 1)"), Some(true));
    assert_eq!(
        refusal("SELECT (SELECT b FROM (VALUES 1, 2) AS u(b))"),
        "SingleValueAggFunction received more than one element."
    );
    assert_eq!(refusal("SELECT (SELECT 1, 2)"), "Cannot apply '$SCALAR_QUERY' to a query of 2 columns");
    assert_eq!(
        refusal(&format!("SELECT a {T} WHERE EXISTS (SELECT 1 FROM (VALUES 1) AS u(b) WHERE b = t.a)")),
        "unexpected correlate variable $cor0 in the plan"
    );
}

#[test]
fn a_stream_takes_no_subquery_in_an_expression() {
    let text = "CREATE TABLE g (a INT) WITH ('connector' = 'datagen'); \
        CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM g WHERE a IN (SELECT 1);";
    let error = super::compile("t.sql", text, &crate::CompileContext::default()).unwrap_err();
    assert!(error.message().starts_with("a subquery in an expression keeps state"), "{error}");
}

#[test]
fn a_condition_of_many_parts_is_read_once() {
    let parts: Vec<String> = (0..60).map(|at| format!("a <> {}", at + 10)).collect();
    assert_eq!(integers(&format!("SELECT a {T} WHERE {}", parts.join(" AND "))), [Some(1), Some(2)]);
}

#[test]
fn rows_that_are_written_out_are_equal_field_by_field() {
    let row =
        |left: &str, right: &str| truth(&format!("SELECT {left} = {right} FROM (VALUES (CAST(NULL AS INT))) AS t(a)"));
    assert_eq!(row("ROW(1, 2)", "ROW(1, 2)"), Some(true));
    assert_eq!(row("ROW(1, a)", "(1, a)"), None);
    assert_eq!(row("ROW(1, a)", "(2, a)"), Some(false));
}

#[test]
fn a_default_of_another_type_and_a_padding_without_end_are_refused() {
    let default = |to: &str, value: &str| {
        refusal(&format!("SELECT JSON_VALUE('{{}}', 'lax $.a' RETURNING {to} DEFAULT {value} ON EMPTY)"))
    };
    assert_eq!(default("BOOLEAN", "DATE '2020-01-01'"), "a DEFAULT of type DATE is no BOOLEAN");
    assert_eq!(default("INTEGER", "TIMESTAMP '2020-01-01 00:00:00'"), "a DEFAULT of type TIMESTAMP(0) is no INT");
    for kind in ["CHAR", "BINARY"] {
        let said = refusal(&format!("SELECT CAST('a' AS {kind}(2147483647))"));
        assert_eq!(said, format!("Required length exceeds implementation limit: {kind}(2147483647)"));
    }
}

#[test]
fn lists_and_conditions_may_be_long_and_what_is_too_deep_is_refused() {
    let many = |one: &str, number: usize, between: &str| vec![one; number].join(between);
    assert_eq!(integers(&format!("SELECT a {T} WHERE a IN ({}, 2)", many("-1", 8_000, ","))), [Some(2)]);
    assert_eq!(integers(&format!("SELECT a {T} WHERE {} OR a = 2", many("a = 3", 900, " OR "))), [Some(2)]);
    assert_eq!(integers(&format!("SELECT a {T} WHERE {} AND a > 1", many("a < 3", 900, " AND "))), [Some(2)]);
    for deep in [many("a", 10_000, " + "), many("a = 3", 10_000, " OR "), format!("{}a", "- ".repeat(10_000))] {
        assert_eq!(refusal(&format!("SELECT {deep} {T}")), "query: the statement is nested too deeply");
    }
    let too_deep = "the expression is nested too deeply";
    assert_eq!(refusal(&format!("SELECT {} {T}", many("a", 1_900, " + "))), too_deep);
    assert_eq!(refusal(&format!("SELECT {}a {T}", "(".repeat(1_900))), too_deep);
    // Each level reads what is in it twice.
    let nested = format!("{}a{}", "NULLIF(".repeat(40), ", 1)".repeat(40));
    let in_subqueries =
        (0..24).fold("VALUES (1)".to_owned(), |inner, _| format!("SELECT a + a FROM ({inner}) AS t(a)"));
    for doubled in [format!("SELECT {nested} {T}"), in_subqueries] {
        assert!(refusal(&doubled).starts_with("the expression has more than 250000 parts"), "{doubled}");
    }
}
