//! Where the real Flink is wrong and ours is right on purpose: our value, which the recordings lack. The conformance
//! runner names the same points, and `docs/compatibility.md` gives the reasons.

use arrow::array::Array;
use thm_sql::expr::text;
use thm_sql::planner::bounded::{answer, answer_in};

/// The first value of a query, as text.
fn value(sql: &str) -> Option<String> {
    let found = answer(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let column = &found.columns[0];
    column.is_valid(0).then(|| {
        let mut out = String::new();
        text::write(&mut out, column, 0, found.schema[0].1.kind);
        out
    })
}

#[test]
fn what_is_not_there_is_null() {
    for sql in [
        "SELECT ARRAY[1,2,3][4]",
        "SELECT MAP['a',1]['z']",
        "SELECT FROM_BASE64(s) FROM (VALUES (CAST('!!' AS STRING)),(CAST(NULL AS STRING))) t(s)",
        "SELECT TO_TIMESTAMP('2019-02-29 10:00:00')",
        "SELECT TO_TIMESTAMP('2021-04-31','yyyy-MM-dd')",
        "SELECT TRY_CAST('2019-02-29' AS TIMESTAMP(3))",
        "SELECT TRY_CAST('0000-01-01' AS DATE)",
        "SELECT TRY_CAST('1L' AS DECIMAL(10,2))",
        "SELECT TRY_CAST('Infinity' AS DECIMAL(10,2))",
    ] {
        assert_eq!(value(sql), None, "{sql}");
    }
}

#[test]
fn what_crashes_there_has_a_value() {
    for (sql, right) in [
        ("SELECT 1.5 % 0.25", "0.00"),
        ("SELECT SIGN(CAST(-3 AS TINYINT))", "-1"),
        ("SELECT TRUNCATE(CAST(17 AS TINYINT), -1)", "10"),
        ("SELECT ENCODE('abc', 'UTF-8')", "abc"),
        ("SELECT FLOOR(TO_TIMESTAMP_LTZ(1582981445678, 3) TO MINUTE)", "2020-02-29 13:04:00.000"),
        ("SELECT CAST(TIMESTAMP '1969-12-31 23:59:59.999' AS DATE)", "1969-12-31"),
        ("SELECT EXTRACT(YEAR FROM TIMESTAMP '1969-12-31 23:59:59.999')", "1969"),
        (
            "SELECT GREATEST(a, 1) FROM (VALUES (CAST('0.05' AS DECIMAL(5,2))),(CAST(NULL AS DECIMAL(5,2)))) t(a)",
            "1.00",
        ),
        ("SELECT CAST('0.12345' AS DECIMAL(5,5))", "0.12345"),
        ("SELECT TYPEOF(PROCTIME())", "TIMESTAMP_LTZ(3) NOT NULL"),
        (r"SELECT 'a%c' LIKE 'a\%c' ESCAPE '\'", "TRUE"),
    ] {
        assert_eq!(value(sql).as_deref(), Some(right), "{sql}");
    }
}

#[test]
fn a_zone_inside_of_an_expression_is_that_of_its_session() {
    let found = answer_in("Asia/Riyadh", "SELECT CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING)").unwrap();
    let mut out = String::new();
    text::write(&mut out, &found.columns[0], 0, found.schema[0].1.kind);
    assert_eq!(out, "1970-01-01 03:00:00.000");
}
