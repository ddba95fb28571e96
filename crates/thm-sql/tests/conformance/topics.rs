//! Cases with topics in which ours is other than Flink on purpose: for each the rule that says what is right instead.
//! Their reasons stand in `docs/compatibility.md`.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta};
use serde_json::Value;

/// A record as partition, key, value, headers and the timestamp if a statement has set it.
pub type Record = (u64, Value, Value, Value, Option<i64>);

/// An update is one record of its key: Flink writes a tombstone before it where the source declares no key.
const ONE_RECORD: &str = "an update is one record of its key, without a tombstone before it";
/// What has never passed a filter has nothing to be deleted, but that is not known without keeping every key.
const FILTER: &str = "an update that does not pass is a tombstone, whatever was there before";

/// What a key's row was before is not kept where nothing needs it.
const REPEATED: &str = "a record that changes nothing is written again, and a tombstone of what is not there too";

/// Key and value of each record of a topic.
type Held<'a> = &'a [(&'a str, Option<&'a str>)];

/// Name of a case, what our topic holds then, and why.
const NAMED: &[(&str, Held<'_>, &str)] = &[
    (
        "update whose before is absent",
        &[
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"a","v":1.5}"#)),
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"b","v":2.5}"#)),
            (r#"{"id":1}"#, None),
        ],
        "a delete deletes, whatever old row the source could give",
    ),
    (
        "filter with key-only before",
        &[
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"a","v":1}"#)),
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"b","v":2}"#)),
            (r#"{"id":1}"#, None),
        ],
        "a delete deletes, whatever old row the source could give",
    ),
    (
        "duplicate creates",
        &[
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"a","v":1.5}"#)),
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"a","v":1.5}"#)),
            (r#"{"id":1}"#, Some(r#"{"id":1,"name":"b","v":2.5}"#)),
            (r#"{"id":1}"#, None),
        ],
        "a row that was created twice is gone when it is deleted once",
    ),
];

/// The reason why these records stand for Flink's, if one of the rules says so.
pub fn records(name: &str, ours: &[Record], flink: &[Record]) -> Option<&'static str> {
    if let Some((_, right, why)) = NAMED.iter().find(|(named, ..)| *named == name) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let same = |record: &Record, (key, value): &(&str, Option<&str>)| {
            text(&record.1).as_deref() == Some(*key) && text(&record.2).as_deref() == *value
        };
        return (ours.len() == right.len() && ours.iter().zip(*right).all(|(a, b)| same(a, b))).then_some(*why);
    }
    let shorter = one_record_per_update(flink);
    if ours == shorter {
        return Some(ONE_RECORD);
    }
    if [shorter.as_slice(), flink].contains(&deletes_of_what_is_there(ours).as_slice()) {
        return Some(FILTER);
    }
    if without_repeats(deletes_of_what_is_there(ours)) == without_repeats(shorter) {
        return Some(REPEATED);
    }
    if name == "buffer flush" {
        let last = |records: &[Record]| -> Vec<Record> {
            let is_last = |at: &usize| records[at + 1..].iter().all(|later| later.1 != records[*at].1);
            let mut kept: Vec<Record> = (0..records.len()).filter(is_last).map(|at| records[at].clone()).collect();
            kept.sort_by_key(|record| record.1.to_string());
            kept
        };
        return (last(ours) == last(flink)).then_some("a buffer drops no change: all are written");
    }
    if name == "partitioner default" {
        let bag = |records: &[Record]| {
            let mut values: Vec<String> = records.iter().map(|record| record.2.to_string()).collect();
            values.sort();
            values
        };
        let first = ours.iter().all(|record| record.0 == 0);
        return (first && bag(ours) == bag(flink))
            .then_some("without a key records go to the first partition, in order; Flink picks one at random");
    }
    None
}

/// Without the tombstones that the next record of the same key replaces at once.
fn one_record_per_update(records: &[Record]) -> Vec<Record> {
    let replaced = |at: &usize| {
        let next = records.get(at + 1);
        records[*at].2.is_null() && next.is_some_and(|next| next.1 == records[*at].1 && !next.2.is_null())
    };
    (0..records.len()).filter(|at| !replaced(at)).map(|at| records[at].clone()).collect()
}

/// Without records that say of a key what the record before said of it.
fn without_repeats(records: Vec<Record>) -> Vec<Record> {
    let repeats =
        |at: &usize| records[..*at].iter().rev().find(|earlier| earlier.1 == records[*at].1) == Some(&records[*at]);
    (0..records.len()).filter(|at| !repeats(at)).map(|at| records[at].clone()).collect()
}

/// Without the tombstones of keys that have no row.
fn deletes_of_what_is_there(records: &[Record]) -> Vec<Record> {
    let there = |at: &usize| {
        let before = records[..*at].iter().rev().find(|earlier| earlier.1 == records[*at].1);
        !records[*at].2.is_null() || before.is_some_and(|before| !before.2.is_null())
    };
    (0..records.len()).filter(there).map(|at| records[at].clone()).collect()
}

/// The reason why these rows stand for Flink's rows, or for its error.
pub fn rows(case: &Value, ours: &[Vec<Value>], flink: Option<&[Vec<Value>]>) -> Option<&'static str> {
    let name = case["name"].as_str().unwrap_or_default();
    let options = case["setup"].to_string();
    if options.contains("'json.ignore-parse-errors'='true'")
        && let Some(why) = flink.and_then(|flink| malformed(ours, flink))
    {
        return Some(why);
    }
    if name.starts_with("cast of TIMESTAMP_LTZ(") {
        let digits = if name.contains("(0)") { "2020-02-29 12:34:56" } else { "2020-02-29 12:34:56.789" };
        let texts = ours.iter().flatten().filter_map(Value::as_str).filter(|text| text.starts_with("2020"));
        let cut = |text: &str| text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.') == digits;
        return texts.into_iter().all(cut).then_some("the declared precision holds when a value is read");
    }
    let types: Vec<&str> =
        case["schema"].as_array().into_iter().flatten().filter_map(|pair| pair[1].as_str()).collect();
    let texts = input_values(case);
    let Some(flink) = flink else {
        let root = case["error"]["root"].as_str().unwrap_or_default();
        if root.contains("The transaction timeout is larger than") {
            return Some("there is no transaction that could time out");
        }
        let any = ours.iter().flat_map(|row| row.iter().skip(1)).any(|value| reads(&texts, value, None));
        return any.then_some("a text with a zone and one without are both read, as UTC");
    };
    let declared = |at: usize| at.checked_sub(1).and_then(|at| types.get(at)).copied();
    let mut why = None;
    let mut same = |at: usize, a: &Value, b: &Value| {
        if a == b {
            return true;
        }
        let found = cell((a, b), declared(at), &texts);
        why = why.or(found);
        found.is_some()
    };
    let all = ours.len() == flink.len()
        && ours.iter().zip(flink).all(|(a, b)| a.iter().zip(b).enumerate().all(|(at, (a, b))| same(at, a, b)));
    all.then_some(why).flatten()
}

/// The reason why a value stands for Flink's.
fn cell((ours, flink): (&Value, &Value), declared: Option<&str>, texts: &[String]) -> Option<&'static str> {
    if flink.is_null() && reads(texts, ours, declared) {
        return Some(
            "a text with a zone and one without are both read, as UTC, and a DATE from Debezium's number of days",
        );
    }
    if ours.is_null() && texts.iter().any(|text| is_no_day(text)) && flink.as_str().is_some_and(is_last_day) {
        return Some(NO_DAY);
    }
    let fine =
        declared.is_some_and(|declared| ["(7)", "(8)", "(9)"].iter().any(|precision| declared.contains(precision)));
    let year = flink.as_str().and_then(|text| text.split('-').next()?.parse::<i32>().ok());
    let beyond = flink.as_str().is_some_and(|text| text.starts_with(['+', '-']))
        || year.is_some_and(|year| !(1678..2262).contains(&year));
    (ours.is_null() && fine && beyond).then_some("TIMESTAMP(7 to 9) holds 1677 to 2262")
}

/// The reason why a job may fail that runs in Flink.
pub fn fails(case: &Value) -> Option<&'static str> {
    input_values(case).iter().any(|text| is_no_day(text)).then_some(NO_DAY)
}

const NO_DAY: &str = "a day that its month lacks is no day, where Flink's is the month's last or the next month's";

/// Whether a text begins with a date whose month lacks the day.
fn is_no_day(text: &str) -> bool {
    let mut parts = text.split(['-', ' ', 'T']).map(str::parse::<u32>);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month @ 1..=12)), Some(Ok(day @ 1..=31))) => {
            NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or(0), month, day).is_none()
        }
        _ => false,
    }
}

/// Whether a text begins with a month's last day or first.
fn is_last_day(text: &str) -> bool {
    let day = text.get(..10).and_then(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok());
    day.is_some_and(|day| day.succ_opt().is_some_and(|next| next.day() == 1) || day.day() == 1)
}

/// Whether a value is what one of the texts says to us: with or without a zone, or a number of days.
fn reads(texts: &[String], value: &Value, declared: Option<&str>) -> bool {
    let Some(value) = value.as_str() else { return false };
    let moment = NaiveDateTime::parse_from_str(value.trim_end_matches('Z'), "%Y-%m-%d %H:%M:%S%.f").ok();
    let day = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok();
    let digits = value.trim_end_matches('Z').split_once('.').map_or(0, |(_, digits)| digits.len());
    declared.is_none_or(|declared| declared.starts_with("TIMESTAMP") || declared.starts_with("DATE"))
        && texts.iter().any(|text| match moment {
            Some(moment) => read_moment(text, digits) == Some(moment),
            None => day.is_some() && read_day(text) == day,
        })
}

/// A field of a wrong type is NULL; the fields behind it keep their values, which Flink's lose.
fn malformed(ours: &[Vec<Value>], flink: &[Vec<Value>]) -> Option<&'static str> {
    let keeps = |(ours, flink): (&Vec<Value>, &Vec<Value>)| {
        let pairs: Vec<_> = ours.iter().zip(flink).collect();
        pairs.iter().enumerate().all(|(at, (a, b))| {
            a == b || b.is_null() && pairs[1..at].iter().any(|(before, theirs)| before.is_null() && theirs.is_null())
        })
    };
    let all = ours.len() == flink.len() && ours.iter().zip(flink).all(keeps);
    all.then_some("a field behind one of a wrong type keeps its value")
}

/// All texts and numbers in the values of the input's records.
fn input_values(case: &Value) -> Vec<String> {
    fn walk(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => out.push(text.clone()),
            Value::Number(number) => out.push(number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            Value::Object(fields) => fields.values().for_each(|field| walk(field, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    for record in
        case["input"].as_object().into_iter().flat_map(|topics| topics.values()).flat_map(Value::as_array).flatten()
    {
        let Some(text) = record["value"].as_str() else { continue };
        match serde_json::from_str(text) {
            Ok(document) => walk(&document, &mut out),
            Err(_) => out.extend(text.split([',', ';']).map(str::to_owned)),
        }
    }
    out
}

/// A date and time with or without a zone, in UTC, cut to so many digits of its fraction.
fn read_moment(text: &str, digits: usize) -> Option<NaiveDateTime> {
    let text = text.replacen('T', " ", 1);
    let moment = DateTime::parse_from_str(&text.replace('Z', "+00:00"), "%Y-%m-%d %H:%M:%S%.f%:z")
        .map(|moment| moment.naive_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f"))
        .ok()?;
    let nanos = i64::from(moment.and_utc().timestamp_subsec_nanos());
    let kept = 10_i64.pow(9 - u32::try_from(digits.min(9)).unwrap_or(9));
    Some(moment - TimeDelta::nanoseconds(nanos % kept))
}

/// Debezium's number of days since 1970.
fn read_day(text: &str) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(TimeDelta::days(text.parse().ok()?))
}
