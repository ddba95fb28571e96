//! Compares what came out with what was recorded: exact text first, then field by field where a deviation may explain it.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Case, Expect};
use crate::deviations::{self, Columns, Place};
use crate::json::Json;
use crate::normalise::{Record, normalise};
use crate::replay::Outcome;

/// How a case ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All the same.
    Passed,
    /// The same but for these deviations.
    Deviated(BTreeSet<&'static str>),
    /// Not the same, and why.
    Failed(String),
}

/// How records are printed for comparing.
#[derive(Clone, Copy)]
enum Form {
    /// As they stood in the topic.
    Exact,
    /// With one way of escaping, as `records.jsonl` and `schema.jsonl` hold them.
    Canonical,
}

impl Form {
    fn print(self, json: &Json) -> String {
        match self {
            Self::Exact => json.exact(),
            Self::Canonical => json.canonical(),
        }
    }
}

/// What one run of a case comes to.
pub fn verdict(case: &Case, outcome: &Outcome, schemas: bool) -> Verdict {
    let mut used = BTreeSet::new();
    if let Err(problem) = errors(case, outcome, &mut used) {
        return Verdict::Failed(problem);
    }
    let ours = normalise(&outcome.records);
    let columns = Columns(&outcome.types);
    let files = if schemas {
        vec![("schema.raw.jsonl", Form::Exact), ("schema.jsonl", Form::Canonical)]
    } else {
        vec![("records.raw.jsonl", Form::Exact), ("records.jsonl", Form::Canonical)]
    };
    for (file, form) in files {
        let Some(recorded) = case.records(file) else { continue };
        let recorded = if matches!(form, Form::Exact) { normalise(&recorded) } else { recorded };
        if let Err(problem) = records(case, &recorded, &ours, form, columns, &mut used) {
            return Verdict::Failed(format!("{file}: {problem}"));
        }
    }
    if used.is_empty() { Verdict::Passed } else { Verdict::Deviated(used) }
}

fn records(
    case: &Case,
    recorded: &[Record],
    ours: &[Record],
    form: Form,
    columns: Columns<'_>,
    used: &mut BTreeSet<&'static str>,
) -> Result<(), String> {
    let own = recorded.iter().filter(|record| !is_inherited(record, ours, columns)).cloned().collect::<Vec<_>>();
    if own.len() < recorded.len() {
        used.insert(deviations::INHERITED);
    }
    let recorded = &own[..];
    for (number, (theirs, ours)) in recorded.iter().zip(ours).enumerate() {
        same(theirs, ours, form, (columns, case.older), used)
            .map_err(|problem| format!("record {number}: {problem}"))?;
    }
    if ours.len() == recorded.len() {
        return Ok(());
    }
    // Where the recorded connector broke, ours goes on.
    if case.expect == Expect::Break && ours.len() > recorded.len() {
        used.insert(deviations::SURVIVES);
        return Ok(());
    }
    let next = recorded.get(ours.len()).or_else(|| ours.get(recorded.len()));
    let next = next.map(|record| format!("{} {}", record.topic, cut(&record.value.exact()))).unwrap_or_default();
    Err(format!("{} records recorded, ours are {}; the first beyond: {next}", recorded.len(), ours.len()))
}

/// A row of an inheriting table, in the snapshot of the table that it inherits from: ours has no such row there.
fn is_inherited(theirs: &Record, ours: &[Record], columns: Columns<'_>) -> bool {
    let row = |record: &Record| {
        let payload = record.value.get("payload").unwrap_or(&record.value);
        let read = payload.get("op").and_then(Json::plain).as_deref() == Some("r");
        payload.get("after").filter(|_| read).map(Json::exact)
    };
    let Some(wanted) = row(theirs).filter(|_| columns.is_inherited(&theirs.topic)) else { return false };
    !ours.iter().any(|record| record.topic == theirs.topic && row(record).as_ref() == Some(&wanted))
}

fn same(
    theirs: &Record,
    ours: &Record,
    form: Form,
    (columns, older): (Columns<'_>, bool),
    used: &mut BTreeSet<&'static str>,
) -> Result<(), String> {
    if theirs.topic != ours.topic || theirs.partition != ours.partition {
        return Err(format!(
            "goes to {}-{}, ours to {}-{}",
            theirs.topic, theirs.partition, ours.topic, ours.partition
        ));
    }
    let print = |json: &Json| release(&form.print(json));
    let headers = |record: &Record| {
        record.headers.iter().map(|(name, value)| format!("{name}={}", print(value))).collect::<Vec<_>>()
    };
    if headers(theirs) != headers(ours) {
        return Err(format!("headers {:?}, ours {:?}", headers(theirs), headers(ours)));
    }
    let mut problems = Vec::new();
    for (part, theirs_json, ours_json) in [("key", &theirs.key, &ours.key), ("value", &theirs.value, &ours.value)] {
        if print(theirs_json) == print(ours_json) {
            continue;
        }
        let mut found = Vec::new();
        difference(part, theirs_json, ours_json, &print, &mut found);
        let snapshot = ours.value.exact().contains("\"op\":\"r\"");
        let place = Place { topic: &theirs.topic, snapshot, older, columns, value: &ours.value, key: &ours.key };
        for (path, theirs_at, ours_at) in found {
            match deviations::explain(place, &path, theirs_at, ours_at) {
                Some(name) => {
                    used.insert(name);
                }
                None => {
                    let show = |json: Option<&Json>| json.map_or("nothing".to_owned(), |json| cut(&form.print(json)));
                    problems.push(format!("{path}: {}, ours {}", show(theirs_at), show(ours_at)));
                }
            };
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

/// A difference: the path of fields to it, theirs, ours.
type Difference<'a> = (String, Option<&'a Json>, Option<&'a Json>);

/// Collects the innermost differences.
fn difference<'a>(
    path: &str,
    theirs: &'a Json,
    ours: &'a Json,
    print: &dyn Fn(&Json) -> String,
    found: &mut Vec<Difference<'a>>,
) {
    if print(theirs) == print(ours) {
        return;
    }
    let (Json::Object(a), Json::Object(b)) = (theirs, ours) else {
        return match (theirs, ours) {
            (Json::List(a), Json::List(b)) if a.len() == b.len() && path.contains("schema") => {
                for (number, (a, b)) in a.iter().zip(b).enumerate() {
                    difference(&format!("{path}[{number}]"), a, b, print, found);
                }
            }
            _ => found.push((path.to_owned(), Some(theirs), Some(ours))),
        };
    };
    let before = found.len();
    for (name, value) in a {
        match ours.get(name) {
            Some(other) => difference(&format!("{path}.{name}"), value, other, print, found),
            None => found.push((format!("{path}.{name}"), Some(value), None)),
        }
    }
    for (name, value) in b.iter().filter(|(name, _)| theirs.get(name).is_none()) {
        found.push((format!("{path}.{name}"), None, Some(value)));
    }
    if found.len() == before {
        let names = |fields: &[(String, Json)]| {
            Json::text(&fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(","))
        };
        let order = |fields| Box::leak(Box::new(names(fields)));
        found.push((format!("{path} (order of fields)"), Some(order(a)), Some(order(b))));
    }
}

/// The recording's release for ours.
fn release(text: &str) -> String {
    text.replace("3.7.0.thm", "3.7.0.Final").replace("2.7.3.thm", "2.7.3.Final")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 300 { text.to_owned() } else { text.chars().take(300).chain(['…']).collect() }
}

/// Words that ours must say where the recorded error says the first.
const SENSES: &[(&str, &[&str])] = &[
    ("Publication autocreation is disabled", &["publication"]),
    ("must be superuser or replication role", &["REPLICATION"]),
    ("permission denied to start WAL sender", &["REPLICATION"]),
    ("wal_level", &["wal_level"]),
    ("Failed to start replication stream", &["slot"]),
    ("Connection to", &["refused"]),
    ("password authentication failed", &["password"]),
];

fn errors(case: &Case, outcome: &Outcome, used: &mut BTreeSet<&'static str>) -> Result<(), String> {
    let Some(recorded) = case.error() else {
        return outcome.error.as_ref().map_or(Ok(()), |error| Err(format!("failed: {}", cut(error))));
    };
    let status = |text: &str| text.lines().next().and_then(|line| line.trim().parse::<u16>().ok());
    let Some(ours) = &outcome.error else {
        // Recorded as expected to be refused, and it was not.
        if status(&recorded) == Some(201) {
            return Ok(());
        }
        if case.expect == Expect::Break {
            used.insert(deviations::SURVIVES);
            return Ok(());
        }
        return Err(format!("no error; recorded is {}", cut(&recorded)));
    };
    if status(&recorded) != status(ours) {
        return Err(format!("status {:?}, ours {:?}: {}", status(&recorded), status(ours), cut(ours)));
    }
    let mut wanted: BTreeMap<&str, &[&str]> = BTreeMap::new();
    for (theirs, words) in SENSES.iter().filter(|(theirs, _)| recorded.contains(theirs)) {
        wanted.insert(theirs, words);
    }
    for (theirs, words) in wanted {
        if !words.iter().any(|word| ours.contains(word)) {
            return Err(format!("recorded says `{theirs}`, ours says {}", cut(ours)));
        }
    }
    let mut named = recorded.split("The '").skip(1).filter_map(|rest| rest.split('\'').next());
    match named.find(|option| !ours.contains(option)) {
        Some(option) => Err(format!("recorded names {option}, ours says {}", cut(ours))),
        None => Ok(()),
    }
}
