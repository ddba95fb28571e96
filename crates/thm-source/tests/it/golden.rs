//! Recorded cases of the real connector, replayed: every record must be the same to the field, order and form.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use thm_api::SourceTask;

use crate::harness::{Bench, Stored, rows_text};
use crate::postgres::Postgres;

/// Numbers what differs from run to run by first appearance, as the recording does.
#[derive(Default)]
struct Names {
    seen: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    fn of(&mut self, kind: &'static str, value: &str) -> String {
        let count = self.counts.entry(kind).or_default();
        let number = self.seen.entry((kind, value.to_owned())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("<{kind}:{number}>")
    }

    /// Hides an envelope's times and numbers in its text, so that order and forms stay comparable.
    fn hide(&mut self, envelope: &mut Value) {
        for time in ["ts_ms", "ts_us", "ts_ns"] {
            for at in ["", "/source"] {
                if let Some(Value::Object(fields)) = envelope.pointer_mut(at) {
                    assert!(fields.get(time).is_some_and(Value::is_number), "{time}");
                    fields.insert(time.to_owned(), Value::from(format!("<{time}>")));
                }
            }
        }
        let Some(source) = envelope.get_mut("source").and_then(Value::as_object_mut) else { return };
        let sequence = source["sequence"].as_str().unwrap().to_owned();
        let parts: Vec<Option<String>> = serde_json::from_str(&sequence).unwrap();
        // The recording walks the fields in order: sequence, txId, lsn.
        let commit = parts[0].as_deref().map(|lsn| self.of("commit_lsn", lsn));
        let own = self.of("lsn", parts[1].as_deref().unwrap());
        let shown = commit.map_or(format!("[null,\"{own}\"]"), |commit| format!("[\"{commit}\",\"{own}\"]"));
        source.insert("sequence".to_owned(), Value::from(shown));
        for (field, kind) in [("txId", "txId"), ("lsn", "lsn")] {
            let name = self.of(kind, &source[field].to_string());
            source.insert(field.to_owned(), Value::from(name));
        }
    }
}

fn shown(record: &Stored, names: &mut Names) -> String {
    let key: Value = record.key.as_ref().map_or(Value::Null, |key| serde_json::from_slice(key).unwrap());
    let mut value = record.json();
    if !value.is_null() {
        names.hide(&mut value);
    }
    let header = |(name, value): &(String, String)| {
        let value = if name.ends_with(".runId") { "<runId>" } else { value };
        format!("{{\"key\":{},\"value\":{}}}", Value::from(name.as_str()), Value::from(value))
    };
    let headers: Vec<String> = record.headers.iter().map(header).collect();
    format!(
        "{{\"topic\":\"{}\",\"partition\":0,\"key\":{key},\"value\":{value},\"headers\":[{}]}}",
        record.topic,
        headers.join(",")
    )
}

/// The texts of `before` and `after` in a recorded line.
fn recorded_rows(line: &str) -> (String, String) {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        value: &'a serde_json::value::RawValue,
    }
    let line: Line<'_> = serde_json::from_str(line).unwrap();
    if line.value.get() == "null" { Default::default() } else { rows_text(line.value.get()) }
}

/// Runs one case; panics where a record differs.
async fn replay(case: &str, extra: &[(&str, &str)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut bench = Bench::new(Postgres::start());
    let options: HashMap<String, Option<String>> = serde_json::from_str(&read("connector.json")).unwrap();
    for (name, value) in &options {
        match value {
            Some(value) => bench.set(name, value),
            None => drop(bench.options.remove(name)),
        }
    }
    extra.iter().for_each(|(name, value)| bench.set(name, value));
    let mut task: Option<Box<dyn SourceTask>> = None;
    let text = read("case.sql");
    for (number, step) in text.split("-- ### ").enumerate() {
        let (word, sql) = if number == 0 { ("", step) } else { step.split_once('\n').unwrap_or((step, "")) };
        match word.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["connector", "create"] => task = Some(bench.start().await.unwrap()),
            ["connector", "restart" | "pause" | "stop"] => {
                task.take().unwrap().stop().await.unwrap();
                if word.contains("restart") {
                    task = Some(bench.start_again().await);
                }
            }
            ["connector", "resume"] => task = Some(bench.start_again().await),
            ["connector", ..] => panic!("{word}"),
            _ => {}
        }
        bench.postgres.psql(sql);
        if let Some(task) = &mut task {
            bench.catch_up(&mut **task).await;
        }
    }
    let lines: Vec<String> = read("records.jsonl").lines().map(str::to_owned).collect();
    // The recording has other escapes than the wire had, but the wire's numbers.
    for (record, line) in bench.ordered().iter().zip(&lines) {
        let (ours, recorded) = (record.rows_text(), recorded_rows(line));
        let escaped = [&ours, &recorded].into_iter().any(|(before, after)| (before.clone() + after).contains("\\u"));
        assert!(escaped || ours == recorded, "{case}: {ours:?} is not {recorded:?}");
    }
    let mut names = Names::default();
    let ours: Vec<String> = bench.ordered().iter().map(|record| shown(record, &mut names)).collect();
    let version = |line: &str| line.replace("3.7.0.Final", "3.7.0.thm").replace("2.7.3.Final", "2.7.3.thm");
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap().to_string();
    let recorded: Vec<String> = lines.iter().map(|line| parse(&version(line))).collect();
    for (number, (ours, recorded)) in ours.iter().zip(&recorded).enumerate() {
        assert_eq!(parse(ours), *recorded, "{case}: record {number}");
    }
    assert_eq!(ours.len(), recorded.len(), "{case}: number of records");
}

macro_rules! cases {
    ($($name:ident = $case:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")] async fn $name() { replay($case, &[]).await; })*
    };
}

cases! {
    base_crud = "base-crud";
    base_snapshot = "base-snapshot";
    snapshot_markers = "snapshot-markers";
    snapshot_markers_one_row = "snapshot-markers-one-row";
    snapshot_markers_two_rows = "snapshot-markers-two-rows";
    key_change = "key-change";
    key_change_no_tombstones = "key-change-no-tombstones";
    key_none = "key-none";
    key_composite = "key-composite";
    replica_identity_default = "replica-identity-default";
    replica_identity_full = "replica-identity-full";
    resume_offset = "resume-offset";
    types_int = "types-int";
    types_float = "types-float";
    types_text_unicode = "types-text-unicode";
    types_generated = "types-generated";
    no_context_headers = "no-context-headers";
    skipped_operations = "skipped-operations";
    snapshot_mode_no_data = "snapshot-mode-no-data";
    publication_filtered = "publication-filtered";
    tx_triggers = "tx-triggers";
}

#[tokio::test(flavor = "multi_thread")]
async fn base_crud_in_the_older_envelope() {
    replay("base-crud-2.7", &[("thm.envelope", "2.7")]).await;
}
