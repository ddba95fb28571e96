//! Recorded exchanges of a real Flink (1.20.3) against the same requests here: status, first line of errors, and the shape
//! of every body: the same names, and values of the same kinds.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use thm_api::{Append, Completeness, Hosts, Log, LogBatch, MemoryBudget, StateStore, TopicPartition, TopicSpec};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use thm_log::{FileStateStore, MemoryLog};
use thm_sql::{CompileContext, JobManager, JobManagerOptions, JobState, compile};

/// Exchanges, one a line; lists are cut to two items, errors to their first line.
const RECORDED: &str = include_str!("../../../tests/golden/flink-rest.jsonl");

/// Parts that are other than Flink's, by name of the exchange and place in its body, with the reason.
const OTHER: &[(&str, &str, &str)] = &[
    ("", ".vertices.*.slotSharingGroupId", "there are no slots"),
    ("", ".summary.", "of one checkpoint there are no percentiles"),
    ("", ".latest.completed.tasks", "a checkpoint is of the job, not of its tasks"),
    ("", ".history.*.tasks", "a checkpoint is of the job, not of its tasks"),
];

/// A job that reads `topic` from its start.
fn script(name: &str, topic: &str, more: &str) -> String {
    format!(
        "SET 'pipeline.name' = '{name}'; SET 'execution.checkpointing.interval' = '10s';
         CREATE TABLE i (v INT) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = 'x',
           'format' = 'json', 'scan.startup.mode' = 'earliest-offset'{more});
         CREATE TABLE o (v INT) WITH ('connector' = 'kafka', 'topic' = 'out', 'properties.bootstrap.servers' = 'x', 'format' = 'json');
         INSERT INTO o SELECT v FROM i;"
    )
}

async fn put(log: &MemoryLog, topic: &str, value: &str) {
    log.create_topic(&TopicSpec::new(topic)).await.unwrap();
    let mut writer = BatchWriter::new();
    writer.push(1_700_000_000_000, None, Some(value.as_bytes()), &HeaderBlock::default());
    let batch = LogBatch { bytes: writer.finish(), records: 1, positions: Arc::new([]), decoded: None };
    let append = Append { batch: Some(batch), progress: None };
    log.append(&TopicPartition::new(topic, 0), append).await.unwrap().durable.await.unwrap();
}

async fn reach(jobs: &JobManager, id: &str, state: JobState) {
    for _ in 0..60_000 {
        let status = jobs.job(id).unwrap();
        if status.state == state && (state != JobState::Running || status.checkpoints.completed > 0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("{:?}", jobs.job(id));
}

/// Jobs in the states of the recordings, by the first word of their names.
async fn jobs(folder: &std::path::Path) -> (Arc<JobManager>, BTreeMap<&'static str, String>) {
    let log = Arc::new(MemoryLog::new());
    put(&log, "good", "{\"v\":1}").await;
    put(&log, "bad", "no JSON").await;
    let state: Arc<dyn StateStore> = Arc::new(FileStateStore::open(folder).unwrap());
    let manager = Arc::new(JobManager::new(JobManagerOptions {
        log: Arc::clone(&log) as Arc<dyn Log>,
        completeness: log as Arc<dyn Completeness>,
        state,
        handle: tokio::runtime::Handle::current(),
        budget: MemoryBudget::new(16 << 20),
        groups: None,
        hosts: Hosts::default(),
    }));
    let mut ids = BTreeMap::new();
    for (name, topic, more, state) in [
        ("running", "good", "", JobState::Running),
        ("canceled", "good", "", JobState::Running),
        ("cancel", "good", "", JobState::Running),
        ("failed", "bad", "", JobState::Failed),
        ("finished", "good", ", 'scan.bounded.mode' = 'latest-offset'", JobState::Finished),
    ] {
        let plan = compile("test.sql", &script(name, topic, more), &CompileContext::default()).unwrap().jobs.remove(0);
        let id = manager.submit(plan).unwrap();
        reach(&manager, &id, state).await;
        ids.insert(name, id);
    }
    manager.cancel(&ids["canceled"]).unwrap();
    reach(&manager, &ids["canceled"], JobState::Canceled).await;
    (manager, ids)
}

/// What differs in shape.
fn differences(theirs: &Value, ours: &Value, at: &str, out: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differences(a, b, &format!("{at}.{name}"), out),
                    (Some(_), None) => out.push(format!("{at}.{name} is not there")),
                    _ => out.push(format!("{at}.{name} is not Flink's")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(a), Some(b)) = (a.first(), b.first()) {
                differences(a, b, &format!("{at}.*"), out);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(theirs) != std::mem::discriminant(ours) => {
            out.push(format!("{at} is {ours}, Flink's {theirs}"));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flink_answers_is_answered_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (manager, ids) = jobs(folder.path()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router =
        super::router(Arc::clone(&manager)).fallback(super::not_found).method_not_allowed_fallback(super::not_found);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let id = regex::Regex::new("[0-9a-f]{32}").unwrap();
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| recorded[name].as_str().unwrap();
        let name = text("name");
        let job = match name {
            "patch-cancel" => "cancel",
            "patch-cancel-finished-job" => "finished",
            _ => ids.keys().find(|first| name.starts_with(**first)).copied().unwrap_or("running"),
        };
        let path = text("path");
        let known = id.find(path).filter(|found| found.as_str().bytes().any(|digit| digit != b'0'));
        let path = known.map_or(path.to_owned(), |found| path.replace(found.as_str(), &ids[job]));
        let method = reqwest::Method::from_bytes(text("method").as_bytes()).unwrap();
        let answer = client.request(method, format!("http://{address}{path}")).send().await.unwrap();
        let status = u64::from(answer.status().as_u16());
        let body: Value = answer.json().await.unwrap_or_default();
        let mut found = Vec::new();
        if recorded["status"] != status {
            found.push(format!("status {status}, Flink's {}", recorded["status"]));
        }
        match recorded["body"]["errors"][0].as_str() {
            Some(error) => {
                let wanted = known.map_or(error.to_owned(), |found| error.replace(found.as_str(), &ids[job]));
                if body["errors"][0] != wanted.as_str() {
                    found.push(format!("{}, Flink's {wanted:?}", body["errors"][0]));
                }
            }
            None => differences(&recorded["body"], &body, "", &mut found),
        }
        found.retain(|told| !OTHER.iter().any(|(of, at, _)| name.starts_with(of) && told.starts_with(at)));
        wrong.extend(found.into_iter().map(|told| format!("{name}: {told}")));
    }
    server.abort();
    tokio::task::block_in_place(|| manager.stop());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
