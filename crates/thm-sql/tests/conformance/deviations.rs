//! Where the real Flink is wrong and ours is right on purpose. Each has its test with the right value in
//! `tests/it/deviations.rs` and its line in `docs/compatibility.md`.

use serde_json::Value;

/// What the real one does where ours differs.
enum Theirs {
    /// It fails, with these words in its error.
    Fails(&'static str),
    /// It gives a value that holds this.
    Gives(&'static str),
    /// It takes the statement; ours is refused with these words.
    Takes(&'static str),
}
use Theirs::{Fails, Gives, Takes};

/// Part of the statement, what the real one does, and why ours differs.
const DEVIATIONS: &[(&str, Theirs, &str)] = &[
    ("CAST('0.", Fails("For input string: '0."), "a number below 1 fits a DECIMAL that has no digits before the point"),
    ("CAST('-0.", Fails("For input string: '-0."), "as above"),
    ("1234567890123456789012345678901234567.8", Fails("Numeric literal"), "38 digits fit a DECIMAL(38, 1)"),
    ("ESCAPE '\\'", Fails("Invalid escape character"), "a backslash may escape"),
    ("FROM_BASE64(", Fails("Illegal base64"), "what is no base64 is NULL instead of the end of the job"),
    ("FROM_BASE64(", Fails("Input byte array"), "as above"),
    (
        "'0000-",
        Fails("Year out of range"),
        "there is no year 0 in a DATE: NULL for TRY_CAST, no failure of the planner",
    ),
    ("TO_DATE(", Gives("5471-09-27"), "what the pattern cannot read is NULL, not a day of the year 1705471"),
    ("TO_DATE(", Fails("NumberFormatException: For input string"), "what is no date is NULL and does not end the job"),
    ("TIMESTAMPDIFF(WEEK", Gives("1860"), "weeks of more than 68 years do not wrap"),
    ("REGEXP_REPLACE(s, ''", Gives("?"), "an empty match does not tear a character apart"),
    ("REGEXP_REPLACE(s, 'x*'", Gives("?"), "as above"),
    ("REPLACE(s, '',", Gives("?"), "as above"),
    ("SPLIT(s, '')", Gives("?"), "as above"),
    ("TRY_CAST(s AS DECIMAL(5,5))", Gives("0.00000"), "a number with a letter behind it is no DECIMAL"),
    ("TRY_CAST(s AS DATE)", Gives("0000-"), "there is no year 0 in a DATE"),
    (
        "ADD JAR",
        Fails("not found"),
        "connectors and formats are built in: a jar that is not there is reported as unused",
    ),
    (
        "TYPEOF(PROCTIME())",
        Fails("Mismatch of function's argument"),
        "the type is shown instead of a failure of the code generator",
    ),
];

/// Statements that only we refuse, as the job would fail when it runs or could not be run here.
const REFUSED: &[(&str, Theirs, &str)] = &[
    (
        "CREATE FUNCTION",
        Takes("CREATE FUNCTION is not supported"),
        "functions in Java classes cannot be run here, and there is no job that needs none",
    ),
    (
        "INSERT INTO",
        Takes("a sink with several topics is not supported"),
        "a record would have to name its topic: a table for each topic is clearer",
    ),
    ("INSERT INTO", Takes("'topic-pattern' is not supported"), "a pattern is no place to write to"),
    ("INSERT INTO", Takes("writing to 'jdbc' is not supported"), "databases are written by sink connectors"),
];

/// Failures inside of the real one that say nothing of the statement.
const CRASHES: &[&str] = &[
    "NullPointerException",
    "CompileException",
    "AssertionError",
    "IndexOutOfBoundsException",
    "NumberFormatException: Infinite or NaN",
    "NumberFormatException: Character",
    "DateTimeException: Invalid value for HourOfDay",
    "IllegalArgumentException: Type mismatch",
    "Mismatch of function's argument data type",
    "net.minidev.json.parser.ParseException",
    "NoClassDefFoundError: net/minidev",
    "cannot be cast to class",
    "due to overflow",
    "not comparable to each other",
    "Unsupported call: ATAN2",
];

/// The reason, if the case is one of them.
pub fn of(sql: &str, case: &Value, ours: &str) -> Option<&'static str> {
    let root = case["error"]["root"].as_str();
    let given = case["rows"].to_string();
    if root.is_some_and(|root| CRASHES.iter().any(|crash| root.contains(crash))) {
        return Some("answered, where the real one crashes");
    }
    if root.is_some_and(|root| root.contains("executeSql() only accepts")) {
        return Some("the SQL client's own statements may stand in a script");
    }
    if root.is_none() && early_fraction(sql) {
        return Some("times before 1970 with a fraction are rounded down, not up to the next day or second");
    }
    if root.is_none() && fraction_in_list(sql) {
        return Some("an integer is not equal to a fraction that is cut to it");
    }
    if root.is_none() && sql.contains("DECIMAL(") && suffixed_number(sql) {
        return Some("a number with a letter behind it is no DECIMAL");
    }
    let null = ours.contains("gives [Null]");
    if absent_element(sql) && (given.contains("-1") || null && !given.contains("null")) {
        return Some("an element or key that is not there is NULL, not -1");
    }
    if sql.contains("ENCODE('") && cut_to_a_byte(case, ours) {
        return Some("bytes are not cut to the first one");
    }
    if dates(sql)
        .any(|(year, month, day)| (1..=12).contains(&month) && (29..=31).contains(&day) && day > last(year, month))
    {
        return Some("a day that its month does not have is no date, not the month's last day");
    }
    if sql.trim() == ";" {
        return Some("an empty statement is none, as in the SQL client");
    }
    let theirs = |theirs: &Theirs| match theirs {
        Takes(words) => case.get("error").is_none() && ours.contains(words),
        Fails(words) => root.is_some_and(|root| root.contains(words)),
        Gives(value) => root.is_none() && given.contains(value),
    };
    DEVIATIONS.iter().chain(REFUSED).find(|(part, does, _)| sql.contains(part) && theirs(does)).map(|(.., why)| *why)
}

/// A time before 1970 that is no whole second.
fn early_fraction(sql: &str) -> bool {
    sql.split('\'').any(|text| {
        let fraction = text.split_once(' ').and_then(|(_, time)| time.split_once('.')).map(|(_, fraction)| fraction);
        let early = text.get(..4).and_then(|year| year.parse::<u32>().ok()).is_some_and(|year| year < 1970);
        early && text.get(4..5) == Some("-") && fraction.is_some_and(|digits| !digits.trim_end_matches('0').is_empty())
    })
}

/// `IN (…)` with a number that is not whole.
fn fraction_in_list(sql: &str) -> bool {
    sql.split(" IN (").skip(1).any(|rest| {
        let list = rest.split(')').next().unwrap_or_default();
        list.split(',').any(|item| item.trim().split_once('.').is_some_and(|(_, digits)| digits.parse() != Ok(0_u32)))
    })
}

/// A text that is a number with Java's letter of a type behind it.
fn suffixed_number(sql: &str) -> bool {
    sql.split('\'').skip(1).step_by(2).any(|text| {
        let text = text.trim();
        let number = text.strip_suffix(['d', 'D', 'f', 'F', 'l', 'L']);
        number
            .is_some_and(|number| number.parse::<f64>().is_ok() && number.ends_with(|last: char| last.is_ascii_digit()))
    })
}

/// `ARRAY[…][n]` and `MAP[…][key]` of constants.
fn absent_element(sql: &str) -> bool {
    sql.contains("][") && (sql.contains("ARRAY[") || sql.contains("MAP["))
}

/// Whether the only value given is one byte, with which ours begins.
fn cut_to_a_byte(case: &Value, ours: &str) -> bool {
    let value = &case["rows"][0][0];
    value.as_str().is_some_and(|bytes| bytes.len() == 4 && bytes.starts_with("0x") && ours.contains(bytes))
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
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
