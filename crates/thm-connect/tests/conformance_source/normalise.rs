//! Replaces what differs from run to run, by the rules by which the recordings were made.
//!
//! ```text
//!   "lsn":528225256 ──▶ "lsn":"<lsn:1>"      numbered by first appearance in the case, so that equal values stay equal
//!   "ts_ms":1795…   ──▶ "ts_ms":"<ts_ms>"
//! ```
//! Nothing else is touched: a value that should be a time and is not one stays as it is, and differs.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::json::Json;

/// Names given so far, by kind and value.
#[derive(Default)]
pub struct Names {
    names: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    fn of(&mut self, kind: &'static str, value: &str) -> String {
        let count = self.counts.entry(kind).or_default();
        let number = self.names.entry((kind, value.to_owned())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("<{kind}:{number}>")
    }
}

/// A record as the log gave it, or as a recording holds it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// JSON, or its bytes as a JSON string.
    pub key: Json,
    /// The same.
    pub value: Json,
    /// Names and values.
    pub headers: Vec<(String, Json)>,
}

impl Record {
    /// One line of a recording.
    pub fn parse(line: &str) -> Self {
        let line = Json::parse(line).expect("a recording is JSON");
        let field = |name: &str| line.get(name).cloned().unwrap_or_else(Json::null);
        let Json::List(headers) = field("headers") else { panic!("headers are a list") };
        let header =
            |header: &Json| (header.get("key").unwrap().plain().unwrap(), header.get("value").unwrap().clone());
        Self {
            topic: field("topic").plain().unwrap(),
            partition: field("partition").exact().parse().unwrap(),
            key: field("key"),
            value: field("value"),
            headers: headers.iter().map(header).collect(),
        }
    }

    /// What came out of the log.
    pub fn of_bytes(text: Option<&[u8]>) -> Json {
        let Some(bytes) = text else { return Json::null() };
        let text = String::from_utf8_lossy(bytes);
        Json::parse(&text).unwrap_or_else(|| Json::text(&text))
    }
}

/// All records of a case without what differs from run to run; of a heartbeat topic only the first.
pub fn normalise(records: &[Record]) -> Vec<Record> {
    let (mut names, mut heartbeats) = (Names::default(), Vec::new());
    let mut normal = Vec::with_capacity(records.len());
    for record in records {
        if record.topic.contains("heartbeat") {
            if heartbeats.contains(&record.topic) {
                continue;
            }
            heartbeats.push(record.topic.clone());
        }
        normal.push(one(record, &mut names));
    }
    normal
}

fn one(record: &Record, names: &mut Names) -> Record {
    let payload = record.value.get("payload").unwrap_or(&record.value);
    let end = payload.get("status").and_then(Json::plain).as_deref() == Some("END");
    let topic = &record.topic;
    let key = of_value(topic, record.key.clone(), names, true, end);
    let value = of_value(topic, record.value.clone(), names, false, false);
    let headers = record.headers.iter().map(|(name, value)| {
        let short = name.strip_prefix("__").unwrap_or(name);
        (name.clone(), field(short, value.clone(), names))
    });
    Record { topic: topic.clone(), partition: record.partition, key, value, headers: headers.collect() }
}

fn of_value(topic: &str, value: Json, names: &mut Names, key: bool, end: bool) -> Json {
    let Json::Object(fields) = &value else { return value };
    let value = if topic.contains("signal") || topic == "notes" { hide(&value, names) } else { value.clone() };
    let has = |name: &str| fields.iter().any(|(field, _)| field == name);
    if fields.len() == 2 && has("schema") && has("payload") {
        let schema = value.get("schema").cloned().unwrap_or_else(Json::null);
        let payload = value.get("payload").cloned().unwrap_or_else(Json::null);
        let payload = of_value(topic, payload, names, key, end);
        return Json::Object(vec![("schema".to_owned(), schema), ("payload".to_owned(), payload)]);
    }
    if let Some(id) = value.get("id").and_then(Json::plain).filter(|id| is_transaction(id)) {
        if fields.len() == 1 {
            let kind = if end { "commit_lsn" } else { "lsn" };
            return Json::Object(vec![("id".to_owned(), Json::text(&transaction(&id, names, kind)))]);
        }
        if has("status") && has("event_count") {
            let end = value.get("status").and_then(Json::plain).as_deref() == Some("END");
            let mut value = block(value, names, "");
            let shown = transaction(&id, names, if end { "commit_lsn" } else { "lsn" });
            *value.get_mut("id").unwrap() = Json::text(&shown);
            return value;
        }
    }
    if key {
        return value;
    }
    if has("source") && has("op") { envelope(value, names) } else { block(value, names, "__") }
}

/// An envelope: its times, `source`, and the id of `transaction`.
fn envelope(value: Json, names: &mut Names) -> Json {
    let Json::Object(fields) = value else { return value };
    let part = |(name, item): (String, Json)| {
        let item = match name.as_str() {
            "source" => block(item, names, ""),
            "transaction" if !item.is_null() => {
                let mut item = item;
                if let Some(id) = item.get("id").and_then(Json::plain) {
                    *item.get_mut("id").unwrap() = Json::text(&transaction(&id, names, "lsn"));
                }
                item
            }
            "ts_ms" | "ts_us" | "ts_ns" if is_number(&item) => Json::text(&format!("<{name}>")),
            _ => item,
        };
        (name, item)
    };
    Json::Object(fields.into_iter().map(part).collect())
}

/// The fields of a flat object; `prefix` stands before their names.
fn block(value: Json, names: &mut Names, prefix: &str) -> Json {
    let Json::Object(fields) = value else { return value };
    let part = |(name, item): (String, Json)| {
        let short = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
        (name, field(&short, item, names))
    };
    Json::Object(fields.into_iter().map(part).collect())
}

fn is_number(item: &Json) -> bool {
    matches!(item, Json::Bare(text) if text.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

/// A number, or a text of digits, as headers have it.
fn digits(item: &Json) -> Option<String> {
    let text = match item {
        Json::Bare(text) | Json::Text(text) => text,
        _ => return None,
    };
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.clone())
}

fn field(name: &str, item: Json, names: &mut Names) -> Json {
    if item.is_null() {
        return item;
    }
    let bare = name.strip_prefix("source_").unwrap_or(name);
    match bare {
        "ts_ms" | "ts_us" | "ts_ns" => match digits(&item) {
            Some(_) => Json::text(&format!("<{name}>")),
            None => item,
        },
        "ts" if name == "ts" => Json::text("<ts>"),
        "lsn" => digits(&item).map_or(item, |number| Json::text(&names.of("lsn", &number))),
        "txId" => digits(&item).map_or(item, |number| Json::text(&names.of("txId", &number))),
        "xmin" if name == "xmin" => digits(&item).map_or(item, |number| Json::text(&names.of("xmin", &number))),
        "sequence" => item.plain().map_or(item, |text| Json::text(&sequence(&text, names))),
        "debezium.context.runId" => Json::text("<runId>"),
        _ => item,
    }
}

fn sequence(text: &str, names: &mut Names) -> String {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new("\"(\\d+)\"(.)").unwrap());
    let shown = NUMBER.replace_all(text, |found: &regex::Captures<'_>| {
        let kind = if &found[2] == "]" { "lsn" } else { "commit_lsn" };
        format!("\"{}\"{}", names.of(kind, &found[1]), &found[2])
    });
    shown.into_owned()
}

fn is_transaction(id: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    id.split_once(':').is_some_and(|(xid, lsn)| number(xid) && number(lsn))
}

fn transaction(id: &str, names: &mut Names, kind: &'static str) -> String {
    let (xid, lsn) = id.split_once(':').unwrap_or((id, ""));
    let xid = names.of("txId", xid);
    if lsn.is_empty() { xid } else { format!("{xid}:{}", names.of(kind, lsn)) }
}

/// Ids and times of signals and notifications.
fn hide(value: &Json, names: &mut Names) -> Json {
    static UUID: LazyLock<Regex> = LazyLock::new(|| Regex::new("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
    static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new("(\"timestamp\":)\\d+").unwrap());
    let text = value.exact();
    let text = UUID.replace_all(&text, |found: &regex::Captures<'_>| names.of("uuid", &found[0]));
    let mut shown = Json::parse(&TIME.replace_all(&text, "$1\"<ts_ms>\"")).unwrap_or_else(|| value.clone());
    // Java's immutable maps have another order in each process.
    if let Some(Json::Object(fields)) = shown.get_mut("additional_data") {
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    shown
}
