//! Where the real Flink is wrong and ours is right on purpose. Each has its test with the right value in
//! `tests/it/deviations.rs` and its line in `docs/compatibility.md`.

/// Part of the statement, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("%", "the remainder of DECIMALs of different scale is computed instead of an assertion error"),
    ("MOD(", "as %"),
    ("1969-12-31 23:59:59.999", "times before 1970 with a fraction are rounded down, not up to the next day"),
    ("1234567890123456789012345678901234567.8", "38 digits fit a DECIMAL(38, 1)"),
    ("ENCODE(", "bytes are not cut to the first one"),
    ("ESCAPE '\\'", "a backslash may escape"),
    ("FROM_BASE64(", "what is no base64 is NULL instead of the end of the job"),
    ("'1d'", "a number with a letter behind it is no DECIMAL"),
    ("'1L'", "a number with a letter behind it is no DECIMAL"),
    ("'0000-", "there is no year 0 in a DATE: NULL for TRY_CAST, no failure of the planner"),
    ("ADD JAR", "connectors and formats are built in: a jar that is not there is reported as unused"),
    ("TYPEOF(PROCTIME())", "the type is shown instead of a failure of the code generator"),
];

/// Failures inside of the real one that say nothing of the statement.
const CRASHES: &[&str] = &[
    "NullPointerException",
    "CompileException",
    "AssertionError",
    "IndexOutOfBoundsException",
    "NumberFormatException: Infinite or NaN",
    "IllegalArgumentException: Type mismatch",
];

/// The reason, if the statement is one of them; `root` is the real one's error.
pub fn of(sql: &str, root: Option<&str>) -> Option<&'static str> {
    if root.is_some_and(|root| CRASHES.iter().any(|crash| root.contains(crash))) {
        return Some("answered, where the real one crashes");
    }
    if root.is_some_and(|root| root.contains("executeSql() only accepts")) {
        return Some("the SQL client's own statements may stand in a script");
    }
    if absent_element(sql) {
        return Some("an element or key that is not there is NULL, not -1");
    }
    if dates(sql)
        .any(|(year, month, day)| (1..=12).contains(&month) && (29..=31).contains(&day) && day > last(year, month))
    {
        return Some("a day that its month does not have is no date, not the month's last day");
    }
    DEVIATIONS.iter().find(|(part, _)| sql.contains(part)).map(|(_, why)| *why)
}

/// `ARRAY[…][n]` and `MAP[…][key]` of constants.
fn absent_element(sql: &str) -> bool {
    sql.contains("][") && (sql.contains("ARRAY[") || sql.contains("MAP["))
}

/// Everything of the form `1234-12-12`.
fn dates(sql: &str) -> impl Iterator<Item = (u32, u32, u32)> {
    sql.split(|letter: char| !letter.is_ascii_digit() && letter != '-').filter_map(|word| {
        let mut parts = word.splitn(3, '-').map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
    })
}

fn last(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
