//! Where ours differs from the recordings on purpose, and how far: the names are those of `docs/compatibility.md`.
//!
//! A deviation is a rule over one field: it holds only where the recorded value is of the known wrong form and ours is of
//! the right one. What the right values are is held by the tests of the types themselves.

use std::collections::BTreeMap;

use crate::json::Json;

/// Where the recorded connector breaks on a value, ours goes on.
pub const SURVIVES: &str = "toast-not-null";
/// Arrays of more than one dimension.
const DIMENSIONS: &str = "array-dimensions";
/// Dates before 1582-10-15 and infinite ones in a snapshot.
const DATES: &str = "snapshot-dates";
/// Zeros without end behind a numeric of negative scale.
const SCALE: &str = "negative-scale";
/// Columns that the recorded connector leaves out.
const LEFT_OUT: &str = "columns-left-out";

/// Arrays of an enum with NULL in them.
const ENUM_NULLS: &str = "enum-array-nulls";
/// What the older release does wrong, and the newer right.
const OLDER: &str = "older-release";

/// Elements of arrays of times, whose microseconds and end of the day the recorded connector loses.
const ARRAY_TIMES: &str = "array-times";
/// Elements of arrays of dates and timestamps before 1582-10-15, and infinite ones.
const ARRAY_EXTREMES: &str = "array-extremes";
/// The time 24:00 as a struct.
const END_OF_DAY: &str = "structured-end-of-day";

/// Precision of an interval that is declared with fields alone.
const INTERVAL_FIELDS: &str = "interval-fields";
/// The vectors of the catalog.
const VECTORS: &str = "catalog-vectors";
/// Arrays of bits and boxes, which the recorded connector gives up on.
const ARRAYS_LOST: &str = "arrays-lost";

/// Infinite intervals.
const INFINITE_INTERVALS: &str = "infinite-intervals";

/// Rows of the tables that inherit from one, in the snapshot of that one.
pub const INHERITED: &str = "inherited-rows";
/// Keys of columns that are unique among some rows only.
const PARTLY_UNIQUE: &str = "partly-unique-keys";
/// Keys of columns that `column.exclude.list` takes away, in a snapshot.
const EXCLUDED_KEYS: &str = "excluded-keys";
/// Defaults that are expressions.
const EXPRESSIONS: &str = "expression-defaults";
/// What the end of a transaction calls the logical messages in it.
const MESSAGES: &str = "message-collections";

/// All of them.
pub const ALL: &[&str] = &[
    SURVIVES,
    DIMENSIONS,
    DATES,
    SCALE,
    LEFT_OUT,
    ENUM_NULLS,
    OLDER,
    ARRAY_TIMES,
    ARRAY_EXTREMES,
    END_OF_DAY,
    INTERVAL_FIELDS,
    VECTORS,
    ARRAYS_LOST,
    INFINITE_INTERVALS,
    INHERITED,
    PARTLY_UNIQUE,
    EXCLUDED_KEYS,
    EXPRESSIONS,
    MESSAGES,
];

/// Types of columns, by `schema.table` and column: kind and name, as in `b int4`; of arrays as in `ab _int4`.
#[derive(Clone, Copy)]
pub struct Columns<'a>(pub &'a BTreeMap<(String, String), String>);

impl Columns<'_> {
    /// Whether other tables inherit from a topic's table.
    pub fn is_inherited(&self, topic: &str) -> bool {
        self.of(topic, "") == "inherited"
    }

    /// Whether a column's default, or what it is generated as, is more than a constant.
    fn is_expression(&self, topic: &str, column: &str) -> bool {
        self.of(topic, &format!("={column}")) == "expression"
    }

    /// Whether there is any such table.
    fn has_inherited(&self) -> bool {
        self.0.values().any(|kind| kind == "inherited")
    }

    /// The type of a column of a topic's table.
    fn of(&self, topic: &str, column: &str) -> &str {
        let table = topic.split_once('.').map_or(topic, |(_, table)| table);
        self.0.get(&(table.to_owned(), column.to_owned())).map_or("", String::as_str)
    }
}

/// What a difference was found in.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Topic.
    pub topic: &'a str,
    /// The record is a snapshot's row.
    pub snapshot: bool,
    /// The recording is one of Debezium 2.7.
    pub older: bool,
    /// Types of the columns.
    pub columns: Columns<'a>,
    /// Our value of the record.
    pub value: &'a Json,
    /// Its key.
    pub key: &'a Json,
}

/// The name of the deviation that this difference is.
pub fn explain(place: Place<'_>, path: &str, theirs: Option<&Json>, ours: Option<&Json>) -> Option<&'static str> {
    if let Some(name) = of_record(place, path, theirs, ours) {
        return Some(name);
    }
    let Place { topic, snapshot, columns, older, .. } = place;
    let kind = columns.of(topic, column_of(path));
    if older && is_older_mistake(path, kind, theirs, ours, snapshot) {
        return Some(OLDER);
    }
    let row = path.contains(".before") || path.contains(".after");
    if let (Some(Json::List(theirs)), Some(Json::List(ours)), true) = (theirs, ours, row)
        && let Some(name) = is_temporal_array(kind, theirs, ours)
    {
        return Some(name);
    }
    match (theirs, ours) {
        (Some(theirs), Some(_)) if row && kind == "b name" && matches!(theirs.exact().as_str(), "null" | "\"\"") => {
            Some(LEFT_OUT)
        }
        (Some(theirs), Some(ours)) if row && kind == "b time" && theirs.is_null() => {
            (ours.get("hour").map(Json::exact).as_deref() == Some("24")).then_some(END_OF_DAY)
        }
        (Some(theirs), Some(_)) if row && path.ends_with(".precision") && theirs.exact() == "65535" => {
            Some(INTERVAL_FIELDS)
        }
        (Some(Json::List(none)), Some(Json::List(_)))
            if row && none.is_empty() && matches!(kind, "ab int2vector" | "ab oidvector") =>
        {
            Some(VECTORS)
        }
        (Some(theirs), Some(Json::List(_)))
            if row && theirs.is_null() && matches!(kind, "ab _bit" | "ab _varbit" | "ab _box") =>
        {
            Some(ARRAYS_LOST)
        }
        (Some(theirs), Some(ours)) if row && kind == "b interval" => {
            let zero = theirs.exact() == "0" || theirs.plain().as_deref() == Some("P0Y0M0DT0H0M0S");
            let ends = ["9223372036854775807", "-9223372036854775808", "\"infinity\"", "\"-infinity\""];
            (zero && ends.contains(&ours.exact().as_str())).then_some(INFINITE_INTERVALS)
        }
        // Under base64 an unchanged bytea is null there, and breaks the task where it is NOT NULL.
        (Some(theirs), Some(Json::Text(_))) if row && kind == "b bytea" && theirs.is_null() => Some(SURVIVES),
        (Some(theirs), Some(Json::List(items)))
            if row && theirs.is_null() && items.iter().any(Json::is_null) && is_lost_by_nulls(kind) =>
        {
            Some(ENUM_NULLS)
        }
        (None, Some(_)) if row => left_out(kind).then_some(LEFT_OUT),
        (Some(theirs), Some(ours)) if path.contains("schema") && path.ends_with("fields") => {
            // A column that is left out is left out of the schema too.
            let (Json::List(a), Json::List(b)) = (theirs, ours) else { return None };
            let name = |field: &Json| field.get("field").and_then(Json::plain).unwrap_or_default();
            let more = b.iter().filter(|field| !a.contains(field));
            let explained = more.clone().all(|field| left_out(columns.of(topic, &name(field))));
            (explained && b.len() > a.len()).then_some(LEFT_OUT)
        }
        (Some(Json::List(a)), Some(Json::List(b))) if row => {
            let lost = |item: &Json| item.is_null() || item.plain().is_some_and(|text| text.starts_with("[L"));
            (a.iter().all(lost) && b.iter().all(|item| matches!(item, Json::List(_)))).then_some(DIMENSIONS)
        }
        (Some(_), Some(_)) if row && snapshot && (kind == "b date" || kind == "ab _date") => Some(DATES),
        (Some(theirs), Some(ours)) if row && kind == "b numeric" => {
            let (theirs, ours) = (theirs.plain()?, ours.plain()?);
            (theirs.trim_end_matches('0').trim_end_matches('.') == ours || theirs.len() > 1000).then_some(SCALE)
        }
        _ => None,
    }
}

/// What is not about one value of a row: keys, places in the snapshot, counts of a transaction.
fn of_record(place: Place<'_>, path: &str, theirs: Option<&Json>, ours: Option<&Json>) -> Option<&'static str> {
    let Place { topic, snapshot, columns, value, .. } = place;
    let payload = value.get("payload").unwrap_or(value);
    match path.rsplit_once('.') {
        None if path == "key" => (ours?.is_null() && columns.of(topic, "") == "partly unique").then_some(PARTLY_UNIQUE),
        Some(("key" | "key.payload", column)) if snapshot => {
            payload.get("after")?.get(column).is_none().then_some(EXCLUDED_KEYS)
        }
        Some((field, "default")) if ours.is_none() => {
            let root = if field.starts_with("key") { place.key } else { value };
            let name = at(root, field.split_once('.')?.1)?.get("field").and_then(Json::plain)?;
            columns.is_expression(topic, &name).then_some(EXPRESSIONS)
        }
        Some((field, "default")) if field.contains("schema") => is_extreme(ours?).then_some(DATES),
        Some((row, column)) if row.ends_with(".before") && columns.is_expression(topic, column) => Some(EXPRESSIONS),
        Some((source, "snapshot")) if snapshot && source.ends_with("source") => {
            columns.has_inherited().then_some(INHERITED)
        }
        Some((_, "data_collections")) => {
            let (Json::List(theirs), Json::List(ours)) = (theirs?, ours?) else { return None };
            let sorted = |list: &[Json]| {
                let mut all: Vec<String> = list.iter().map(|one| without_addresses(&one.exact())).collect();
                all.sort();
                all
            };
            let of_messages = theirs.iter().any(|one| one.exact().contains(MESSAGE_NAME));
            (of_messages && sorted(theirs) == sorted(ours)).then_some(MESSAGES)
        }
        _ => None,
    }
}

/// What a path such as `schema.fields[0].fields[4]` leads to.
fn at<'a>(mut json: &'a Json, path: &str) -> Option<&'a Json> {
    for part in path.split('.') {
        let (name, index) = part.split_once('[').map_or((part, None), |(name, rest)| (name, rest.strip_suffix(']')));
        json = json.get(name)?;
        if let (Json::List(list), Some(index)) = (json, index) {
            json = list.get(index.parse::<usize>().ok()?)?;
        }
    }
    Some(json)
}

/// A logical message's name ends in an address in memory, where ours has its LSN.
const MESSAGE_NAME: &str = "LogicalDecodingMessageId@";

fn without_addresses(text: &str) -> String {
    let mut parts = text.split(MESSAGE_NAME);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.strip_prefix("<hash>").unwrap_or(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
        text + MESSAGE_NAME + rest
    })
}

/// The column that a path leads to, or into: a struct's fields may follow its name.
fn column_of(path: &str) -> &str {
    let inside = [".after.", ".before."].iter().find_map(|row| path.split_once(row)).map(|(_, rest)| rest);
    let structured = ["year", "month", "day", "specialValue"].iter().any(|part| path.ends_with(&format!(".{part}")));
    match inside {
        Some(inside) if structured => inside.split('.').next().unwrap_or_default(),
        _ => path.rsplit('.').next().unwrap_or_default(),
    }
}

/// The older release misread times before 1582 in snapshots and the end of the day, the least amount of money, quotes in
/// defaults, and names beyond ASCII in the stream.
fn is_older_mistake(path: &str, kind: &str, theirs: Option<&Json>, ours: Option<&Json>, snapshot: bool) -> bool {
    let text = |json: Option<&Json>| json.and_then(Json::plain).unwrap_or_default();
    let (theirs_text, ours_text) = (text(theirs), text(ours));
    let cut_at_quote = ours_text.strip_prefix(&theirs_text).is_some_and(|rest| rest.starts_with('\''));
    let foreign = path.rsplit('.').next().is_some_and(|name| !name.is_ascii());
    (snapshot && matches!(kind, "b timestamp" | "b timestamptz"))
        || (kind == "b timetz" && ours_text == "24:00:00Z")
        || kind == "b money"
        || (cut_at_quote && !theirs_text.is_empty())
        || (foreign && (theirs.is_none() || ours.is_none()))
}

/// Arrays of dates and times: only elements differ that the recorded connector is known to get wrong.
fn is_temporal_array(kind: &str, theirs: &[Json], ours: &[Json]) -> Option<&'static str> {
    let name = match kind {
        "ab _time" => ARRAY_TIMES,
        "ab _date" | "ab _timestamp" | "ab _timestamptz" => ARRAY_EXTREMES,
        _ => return None,
    };
    let explained = |(theirs, ours): (&Json, &Json)| {
        theirs.exact() == ours.exact()
            || (theirs.is_null() == ours.is_null() && (name == ARRAY_TIMES || is_extreme(ours)))
    };
    (theirs.len() == ours.len() && theirs.iter().zip(ours).all(explained)).then_some(name)
}

/// Before the Gregorian calendar, or infinite; a bare number is taken for one where no date of this century has it.
fn is_extreme(value: &Json) -> bool {
    const FIRST_GREGORIAN_DAY: i64 = -141_427;
    match value {
        Json::Bare(number) => number.parse().is_ok_and(|number: i64| !(FIRST_GREGORIAN_DAY..1 << 60).contains(&number)),
        Json::Text(_) => value.plain().is_some_and(|text| {
            text.contains("infinity")
                || text.starts_with(['-', '+'])
                || text.get(..4).is_some_and(|year| year <= "1582")
        }),
        _ => {
            let year = value.get("year").map(Json::exact).unwrap_or_default();
            year == "null" || year.parse().is_ok_and(|year: i64| year <= 1582)
        }
    }
}

/// Arrays of which the recorded connector forgot to say that their elements may be NULL: of enums, and of types that it shows
/// as the bytes of their text.
fn is_lost_by_nulls(kind: &str) -> bool {
    const UNKNOWN: [&str; 8] = ["tsquery", "tsvector", "pg_lsn", "xid", "xid8", "tid", "cid", "jsonpath"];
    let unknown = |name: &str| UNKNOWN.contains(&name.trim_start_matches('_'));
    kind.starts_with("ae ") || kind.strip_prefix("ab ").is_some_and(unknown) || (kind != "b name" && left_out(kind))
}

/// Composite and multirange columns, arrays of domains, ranges that users define, and `name` columns in the stream.
fn left_out(kind: &str) -> bool {
    const RANGES: [&str; 6] = ["int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"];
    let own_range = |name: &str| !RANGES.contains(&name.trim_start_matches('_'));
    ["c ", "m ", "ac ", "am ", "ad "].iter().any(|of| kind.starts_with(of))
        || kind == "b name"
        || ["r ", "ar "].iter().any(|of| kind.strip_prefix(of).is_some_and(own_range))
}
