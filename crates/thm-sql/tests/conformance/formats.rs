//! Cases with topics: records in, rows or records out, run as real jobs on a log in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use thm_api::{
    Append, Completeness, Log, LogBatch, MemoryBudget, Offset, ReadLimits, StateStore, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{self, BatchWriter, HeaderBlock};
use thm_log::{FileStateStore, MemoryLog};
use thm_sql::parser::parse_script;
use thm_sql::planner::{self, Collected, Session};
use thm_sql::{CompileContext, JobManager, JobManagerOptions, JobPlan, JobState, SqlDiagnostic};

use crate::outcome::{Outcome, refused};
use crate::topics::{self, Record};
use crate::values;

/// Longest a case may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Whether a case is one with topics.
pub fn is_one(case: &Value) -> bool {
    case.get("input").is_some() || case.get("output").is_some()
}

/// Runs a case.
pub fn of(case: &Value) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(run(case));
    runtime.shutdown_background();
    outcome
}

async fn run(case: &Value) -> Outcome {
    let log = Arc::new(MemoryLog::new());
    let partitions = u32::try_from(case["partitions"].as_u64().unwrap_or(1)).unwrap_or(1);
    for (topic, records) in case["input"].as_object().into_iter().flatten() {
        produce(&log, topic, records).await;
    }
    for topic in case["output"].as_object().into_iter().flat_map(|topics| topics.keys()) {
        let spec = TopicSpec { partitions, ..TopicSpec::new(topic) };
        log.create_topic(&spec).await.unwrap();
    }
    let (jobs, collected, schema) = match planned(case) {
        Ok(planned) => planned,
        Err(found) => {
            return match case.get("error") {
                Some(error) => refused(found.message(), error),
                None => Outcome::Failed(format!("refused: {found:?}")),
            };
        }
    };
    let failure = finish(&log, jobs).await;
    match (failure, case.get("error")) {
        (Some(found), Some(error)) => refused(&found, error),
        (Some(found), None) => {
            topics::fails(case).map_or_else(|| Outcome::Failed(format!("fails: {found}")), Outcome::Deviates)
        }
        (None, Some(error)) => {
            let ours = collected.map(|collected| rows(&collected, &schema)).unwrap_or_default();
            let why = format!("gives {ours:?}, Flink fails: {}", error["root"]);
            topics::rows(case, &ours, None).map_or(Outcome::Failed(why), Outcome::Deviates)
        }
        (None, None) => match (case.get("output"), collected) {
            (Some(output), _) => same_output(&log, case, output).await,
            (None, Some(collected)) => same_rows(case, &collected, &schema),
            (None, None) => Outcome::Failed("nothing to compare".to_owned()),
        },
    }
}

type Planned = (Vec<JobPlan>, Option<Collected>, Vec<(String, thm_sql::types::DataType)>);

fn planned(case: &Value) -> Result<Planned, SqlDiagnostic> {
    let mut session = Session::new(CompileContext::default());
    let config = case["config"].as_object().into_iter().flatten();
    let sets = config.map(|(key, value)| format!("SET '{key}' = '{}'", value.as_str().unwrap_or_default()));
    let setup = case["setup"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let sql = case["sql"].as_str().unwrap_or_default().to_owned();
    let mut out = (Vec::new(), None, Vec::new());
    for text in sets.chain(setup).chain([sql]) {
        for parsed in parse_script(&text)? {
            match session.execute(&parsed, None)? {
                planner::Outcome::Jobs(jobs) => out.0.extend(jobs),
                planner::Outcome::Select(selection) => {
                    let (job, collected) = selection.job("case", &CompileContext::default())?;
                    out = (vec![job], Some(collected), selection.schema());
                }
                planner::Outcome::Done | planner::Outcome::Table(_) => {}
            }
        }
    }
    Ok(out)
}

/// Runs jobs to their end; the first failure.
async fn finish(log: &Arc<MemoryLog>, jobs: Vec<JobPlan>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let state: Arc<dyn StateStore> = Arc::new(FileStateStore::open(folder.path()).unwrap());
    let manager = JobManager::new(JobManagerOptions {
        log: Arc::clone(log) as Arc<dyn Log>,
        completeness: Arc::clone(log) as Arc<dyn Completeness>,
        state,
        handle: tokio::runtime::Handle::current(),
        budget: MemoryBudget::new(16 << 20),
        groups: None,
        hosts: thm_api::Hosts::default(),
    });
    for job in jobs {
        let id = match manager.submit(job) {
            Ok(id) => id,
            Err(error) => return Some(error.to_string()),
        };
        let begun = Instant::now();
        loop {
            let status = manager.job(&id)?;
            match status.state {
                JobState::Finished => break,
                JobState::Failed => return Some(status.exception.unwrap_or_default()),
                _ if begun.elapsed() > DEADLINE => return Some("the job does not end".to_owned()),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
    None
}

/// A text, or bytes in base64.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Some(encoded) = value["base64"].as_str() {
        return base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).ok();
    }
    value.as_str().map(|text| text.as_bytes().to_vec())
}

async fn produce(log: &MemoryLog, topic: &str, records: &Value) {
    log.create_topic(&TopicSpec::new(topic)).await.unwrap();
    for record in records.as_array().into_iter().flatten() {
        let mut headers = HeaderBlock::default();
        for header in record["headers"].as_array().into_iter().flatten() {
            headers.push(header[0].as_str().unwrap_or_default(), bytes(&header[1]).as_deref());
        }
        let mut writer = BatchWriter::new();
        let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
        let timestamp = record["timestamp"].as_i64().unwrap_or(1_700_000_000_000);
        writer.push(timestamp, key.as_deref(), value.as_deref(), &headers);
        let batch = LogBatch { bytes: writer.finish(), records: 1, positions: Arc::new([]), decoded: None };
        let append = Append { batch: Some(batch), progress: None };
        let partition = u32::try_from(record["partition"].as_u64().unwrap_or(0)).unwrap_or(0);
        let appended = log.append(&TopicPartition::new(topic, partition), append).await.unwrap();
        appended.durable.await.unwrap();
    }
}

async fn same_output(log: &MemoryLog, case: &Value, wanted: &Value) -> Outcome {
    let name = case["name"].as_str().unwrap_or_default();
    let unordered = unordered(case);
    let mut deviation = None;
    for (topic, records) in wanted.as_object().into_iter().flatten() {
        let mut wanted: Vec<Record> = records.as_array().into_iter().flatten().map(shown).collect();
        let mut found = Vec::new();
        let partitions = log.topic(topic).map_or(0, |topic| topic.partitions.len());
        for partition in (0_u32..).take(partitions) {
            let limits = ReadLimits { max_bytes: 64 << 20, max_wait: Duration::ZERO };
            let read = log.read(&TopicPartition::new(topic.as_str(), partition), Offset(0), limits).await.unwrap();
            for fetched in read.batches {
                for record in record_batch::records(&fetched.batch.bytes).unwrap().flatten() {
                    let text = |bytes: &Option<Bytes>| match bytes {
                        Some(bytes) => match std::str::from_utf8(bytes) {
                            Ok(text) => Value::from(text),
                            Err(_) => {
                                let encoder = base64::engine::general_purpose::STANDARD;
                                serde_json::json!({ "base64": base64::Engine::encode(&encoder, bytes) })
                            }
                        },
                        None => Value::Null,
                    };
                    let headers: Vec<Value> = record
                        .headers
                        .iter()
                        .map(|(name, value)| Value::from(vec![text(&Some(name)), text(&value)]))
                        .collect();
                    let told = serde_json::json!({
                        "partition": partition, "key": text(&record.key), "value": text(&record.value),
                        "headers": headers, "timestamp": record.timestamp_ms,
                    });
                    found.push(shown(&told));
                }
            }
        }
        if unordered && found != wanted {
            let by_text = |record: &Record| format!("{record:?}");
            found.sort_by_cached_key(by_text);
            wanted.sort_by_cached_key(by_text);
        }
        if found != wanted {
            deviation = topics::records(name, &found, &wanted);
            if deviation.is_none() {
                return Outcome::Failed(format!("{topic}:\n      ours  {found:?}\n      flink {wanted:?}"));
            }
        }
    }
    deviation.map_or(Outcome::Passed, Outcome::Deviates)
}

/// Rows of several inputs have no order among each other; of VALUES with casts in them Flink makes several.
fn unordered(case: &Value) -> bool {
    case["sql"].as_str().is_some_and(|sql| sql.contains("UNION ALL") || sql.contains("VALUES"))
}

/// A record for comparison: a timestamp only where the statement has set it.
fn shown(record: &Value) -> Record {
    let timestamp = record["timestamp"].as_i64().filter(|millis| *millis < 1_700_000_000_000);
    let part = |name: &str| record[name].clone();
    (record["partition"].as_u64().unwrap_or(0), part("key"), part("value"), part("headers"), timestamp)
}

fn rows(collected: &Collected, schema: &[(String, thm_sql::types::DataType)]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for part in collected.take() {
        for (row, kind) in part.kinds.iter().enumerate() {
            let mut shown = vec![Value::from(kind.as_str())];
            let columns = schema.iter().zip(&part.columns);
            shown.extend(columns.map(|((_, data_type), column)| values::shown(column, row, data_type.kind)));
            rows.push(shown);
        }
    }
    rows
}

fn same_rows(case: &Value, collected: &Collected, schema: &[(String, thm_sql::types::DataType)]) -> Outcome {
    let mut rows = rows(collected, schema);
    let types: Vec<String> = schema.iter().map(|(_, data_type)| data_type.to_string()).collect();
    let wanted: Vec<&str> =
        case["schema"].as_array().into_iter().flatten().filter_map(|pair| pair[1].as_str()).collect();
    if types != wanted {
        return Outcome::Failed(format!("types {types:?}, Flink {wanted:?}"));
    }
    let mut whole = vec![(String::new(), thm_sql::types::LogicalType::STRING.nullable(false))];
    whole.extend_from_slice(schema);
    let mut wanted: Vec<Vec<Value>> =
        case["rows"].as_array().into_iter().flatten().filter_map(|row| row.as_array().cloned()).collect();
    if unordered(case) && rows != wanted {
        rows.sort_by_cached_key(|row| format!("{row:?}"));
        wanted.sort_by_cached_key(|row| format!("{row:?}"));
    }
    if rows.len() == wanted.len() && rows.iter().zip(&wanted).all(|(a, b)| values::same_row(a, b, &whole)) {
        return Outcome::Passed;
    }
    let why = format!("gives {rows:?}, Flink {wanted:?}");
    topics::rows(case, &rows, Some(&wanted)).map_or(Outcome::Failed(why), Outcome::Deviates)
}
