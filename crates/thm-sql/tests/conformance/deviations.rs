//! Where the real Flink is wrong and ours is right on purpose. Each has its test with the right value in
//! `tests/it/deviations.rs` and its line in `docs/compatibility.md`.

/// Part of the statement, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("%", "the remainder of DECIMALs of different scale is computed instead of an assertion error"),
    ("MOD(", "as %"),
    ("1969-12-31 23:59:59.999", "times before 1970 with a fraction are rounded down, not up to the next day"),
    ("1234567890123456789012345678901234567.8", "38 digits fit a DECIMAL(38, 1)"),
    ("ARRAY[1,2,3][4]", "an element that is not there is NULL, not -1"),
    ("['z']", "a key that is not there is NULL, not -1"),
    ("ENCODE(", "bytes are not cut to the first one"),
    ("TRUNCATE(", "TRUNCATE of TINYINT and SMALLINT is computed instead of a compile error"),
    ("SIGN(", "SIGN of TINYINT and SMALLINT is computed instead of a compile error"),
    ("FROM_BASE64('!!')", "bad input fails with its own words"),
    ("TO_TIMESTAMP_LTZ(1582981445678,3) TO", "FLOOR and CEIL of TIMESTAMP_LTZ are computed instead of a compile error"),
];

/// The reason, if the statement is one of them.
pub fn of(sql: &str) -> Option<&'static str> {
    DEVIATIONS.iter().find(|(part, _)| sql.contains(part)).map(|(_, why)| *why)
}
