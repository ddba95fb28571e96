//! Sinks of several topics: each record goes to the one that its row names, once, whatever happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thm_api::{Log, TopicSpec};
use thm_log::MemoryLog;
use thm_sql::{CompileContext, JobManager, JobState, compile};

use crate::fixture::{Bench, Written, plan, reach, records, records_of};

/// Checkpoints come by order only: at stop, and when a job starts.
const RARELY: &str = "SET 'execution.checkpointing.interval' = '1h';\nSET 'restart-strategy.type' = 'none';\n";
const KAFKA: &str = "'connector' = 'kafka', 'properties.bootstrap.servers' = 'x', 'format' = 'json'";

/// A job from `in` to the topics that an option names.
fn routed(topics: &str, columns: &str, select: &str) -> String {
    format!(
        "{RARELY}SET 'pipeline.name' = 'router';
         CREATE TABLE i (v INT, t STRING) WITH ({KAFKA}, 'topic' = 'in', 'scan.startup.mode' = 'earliest-offset');
         CREATE TABLE o ({columns}) WITH ({KAFKA}, {topics});
         INSERT INTO o {select} FROM i;"
    )
}

const COLUMNS: &str = "v INT, t STRING METADATA FROM 'topic'";

async fn put(bench: &Bench, rows: &[(i32, Option<&str>)]) {
    let value = |(v, t): &(i32, Option<&str>)| serde_json::json!({"v": v, "t": t}).to_string();
    let values: Vec<String> = rows.iter().map(value).collect();
    let values: Vec<_> = values.iter().map(|value| (None, Some(value.as_str()))).collect();
    bench.foreign("in", &values).await;
}

async fn bench_with(topics: &[(&str, u32)]) -> Bench {
    let bench = Bench::new().await;
    for (name, partitions) in topics {
        let spec = TopicSpec { partitions: *partitions, ..TopicSpec::new(*name) };
        bench.log.create_topic(&spec).await.unwrap();
    }
    bench
}

fn texts(records: &[Written]) -> Vec<String> {
    records.iter().map(Written::text).collect()
}

/// Records of all topics but the input, by topic, as soon as there are so many.
async fn written(log: &MemoryLog, count: usize) -> BTreeMap<String, Vec<String>> {
    let begun = Instant::now();
    loop {
        let mut found = BTreeMap::new();
        for topic in log.topics().into_iter().filter(|topic| !["in"].contains(&topic.spec.name.as_str())) {
            let records = texts(&records(log, &topic.spec.name).await);
            if !records.is_empty() {
                found.insert(topic.spec.name, records);
            }
        }
        if found.values().map(Vec::len).sum::<usize>() >= count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "only {found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn stop(manager: &JobManager) {
    tokio::task::block_in_place(|| manager.stop());
}

/// What a job fails with on one row.
async fn failure(topics: &str, columns: &str, select: &str, row: (i32, Option<&str>)) -> String {
    let bench = bench_with(&[("in", 1)]).await;
    put(&bench, &[row]).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&routed(topics, columns, select))).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    status.exception.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_to_the_topic_that_they_name_and_new_topics_are_created() {
    let bench = bench_with(&[("in", 1), ("o.a", 1)]).await;
    put(&bench, &[(1, Some("o.a")), (2, Some("o.b")), (3, Some("o.a")), (4, Some("o.c"))]).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&routed("'topic-pattern' = 'o\\..*'", COLUMNS, "SELECT v, t"))).unwrap();
    let found = written(&bench.log, 4).await;
    let wanted = [
        ("o.a", vec!["null {\"v\":1}", "null {\"v\":3}"]),
        ("o.b", vec!["null {\"v\":2}"]),
        ("o.c", vec!["null {\"v\":4}"]),
    ];
    let wanted: BTreeMap<String, Vec<String>> = wanted
        .into_iter()
        .map(|(topic, rows)| (topic.to_owned(), rows.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(found, wanted);
    while manager.job(&id).unwrap().output_topics.len() < 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Killed: the checkpoint of the start is behind all of it, and only what was written tells so.
    manager.cancel(&id).unwrap();
    reach(&manager, &id, JobState::Canceled).await;
    put(&bench, &[(5, Some("o.b")), (6, Some("o.d"))]).await;
    let again = bench.manager();
    again.submit(plan(&routed("'topic-pattern' = 'o\\..*'", COLUMNS, "SELECT v, t"))).unwrap();
    let found = written(&bench.log, 6).await;
    stop(&again);
    assert_eq!(written(&bench.log, 6).await, found);
    assert_eq!(found["o.b"], ["null {\"v\":2}", "null {\"v\":5}"]);
    assert_eq!((found["o.a"].len(), found["o.c"].len(), found["o.d"].len()), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_topic_of_the_sink_fails_in_flinks_words() {
    let (list, pattern) = ("'topic' = 'a;b'", "'topic-pattern' = 'o[0-9]+'");
    let rule = "The topic of the sink record is not valid. Expected";
    let none = format!("{rule} a single topic but no topic is set.");
    for (topics, row, words) in [
        (list, (1, None), none.clone()),
        (pattern, (1, None), none.clone()),
        (list, (1, Some("c")), format!("{rule} topic to be in: [a, b] but was: c")),
        (pattern, (1, Some("x1")), format!("{rule} topic to match: o[0-9]+ but was: x1")),
        ("'topic-pattern' = '.*'", (1, Some("no good")), "Invalid topics: [no good]".to_owned()),
    ] {
        let found = failure(topics, COLUMNS, "SELECT v, t", row).await;
        assert!(found.contains(&words), "{found}");
    }
    // Without a column that says it, or with one that is only read.
    assert!(failure(list, "v INT", "SELECT v", (1, Some("a"))).await.contains(&none));
    let read = "v INT, t STRING METADATA FROM 'topic' VIRTUAL";
    assert!(failure(list, read, "SELECT v", (1, Some("a"))).await.contains(&none));
    let strict = "v INT, t STRING NOT NULL METADATA FROM 'topic'";
    assert!(failure(list, strict, "SELECT v, CAST(NULL AS STRING)", (1, None)).await.contains(&none));
}

#[test]
fn of_one_topic_there_is_nothing_to_choose() {
    let text = routed("'topic' = 'a'", COLUMNS, "SELECT v, t");
    let error = compile("test.sql", &text, &CompileContext::default()).unwrap_err().to_string();
    assert!(error.contains("Invalid metadata key 'topic' in column 't'"), "{error}");
    assert!(error.contains("metadata keys for writing:\nheaders\ntimestamp"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_topic_named_twice_takes_all_rows() {
    let bench = bench_with(&[("in", 1)]).await;
    put(&bench, &[(1, Some("zzz")), (2, None)]).await;
    let manager = bench.manager();
    manager.submit(plan(&routed("'topic' = 'a;a'", COLUMNS, "SELECT v, t"))).unwrap();
    assert_eq!(written(&bench.log, 2).await["a"].len(), 2);
    stop(&manager);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioner_counts_the_partitions_of_each_topic() {
    let bench = bench_with(&[("in", 1), ("a", 3), ("b", 2)]).await;
    let rows: Vec<(i32, Option<&str>)> = (0..12).map(|v| (v, Some(if v % 2 == 0 { "a" } else { "b" }))).collect();
    put(&bench, &rows).await;
    let manager = bench.manager();
    let topics = "'topic' = 'a;b', 'sink.partitioner' = 'round-robin'";
    let id = manager.submit(plan(&routed(topics, COLUMNS, "SELECT v, t"))).unwrap();
    while manager.job(&id).unwrap().records_out < 12 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop(&manager);
    for (topic, count, at) in [("a", 3, 0), ("a", 3, 1), ("a", 3, 2), ("b", 2, 0), ("b", 2, 1)] {
        let found = texts(&records_of(&*bench.log, topic, at).await);
        let of = |v: &i32| (v % 2 == 0) == (topic == "a") && v % count == i32::try_from(at).unwrap();
        let wanted: Vec<String> = (0..12).filter(of).map(|v| format!("null {{\"v\":{v}}}")).collect();
        assert_eq!(found, wanted, "{topic}-{at}");
    }
}

/// A job whose sink takes updates and deletes by key; an event's device says its topic.
fn upserts(topic: &str) -> String {
    format!(
        "{RARELY}SET 'pipeline.name' = 'upserts';
         CREATE TABLE i (id INT, t STRING, v INT) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = 'x',
           'topic' = 'in', 'format' = 'debezium-json', 'scan.startup.mode' = 'earliest-offset');
         CREATE TABLE o (id INT, v INT, topic STRING METADATA, PRIMARY KEY (id) NOT ENFORCED) WITH (
           'connector' = 'upsert-kafka', 'properties.bootstrap.servers' = 'x', 'topic' = 'a;b', 'key.format' = 'json',
           'value.format' = 'json');
         INSERT INTO o SELECT id, v, {topic} FROM i;"
    )
}

fn change(op: char, before: &str, after: &str) -> String {
    format!("{{\"before\":{before},\"after\":{after},\"op\":\"{op}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_moves_to_another_topic_leaves_the_one_before() {
    let bench = bench_with(&[("in", 1)]).await;
    let row = |t: &str, v: i32| format!("{{\"id\":1,\"t\":\"{t}\",\"v\":{v}}}");
    let changes = [
        change('c', "null", &row("a", 1)),
        change('u', &row("a", 1), &row("a", 2)),
        change('u', &row("a", 2), &row("b", 3)),
        change('d', &row("b", 3), "null"),
    ];
    let changes: Vec<_> = changes.iter().map(|value| (Some("{\"id\":1}"), Some(value.as_str()))).collect();
    bench.foreign("in", &changes).await;
    let manager = bench.manager();
    manager.submit(plan(&upserts("t"))).unwrap();
    let found = written(&bench.log, 5).await;
    stop(&manager);
    let key = "{\"id\":1}";
    assert_eq!(
        found["a"],
        [format!("{key} {{\"id\":1,\"v\":1}}"), format!("{key} {{\"id\":1,\"v\":2}}"), format!("{key} null")]
    );
    assert_eq!(found["b"], [format!("{key} {{\"id\":1,\"v\":3}}"), format!("{key} null")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_key_does_not_tell_needs_the_old_row() {
    let row = "{\"id\":1,\"t\":\"a\",\"v\":1}";
    let (created, gone) = (change('c', "null", row), change('d', "null", "null"));
    let changes = [(Some("{\"id\":1}"), Some(created.as_str())), (Some("{\"id\":1}"), Some(gone.as_str()))];
    let bench = bench_with(&[("in", 1)]).await;
    bench.foreign("in", &changes).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&upserts("t"))).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    assert!(status.exception.unwrap().contains("REPLICA IDENTITY"));
    // A constant needs no row.
    let bench = bench_with(&[("in", 1)]).await;
    bench.foreign("in", &changes).await;
    let manager = bench.manager();
    manager.submit(plan(&upserts("'b'"))).unwrap();
    assert_eq!(written(&bench.log, 2).await["b"], ["{\"id\":1} {\"id\":1,\"v\":1}", "{\"id\":1} null"]);
    stop(&manager);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_into_one_table_write_their_rows_once_each() {
    let bench = bench_with(&[("in", 1)]).await;
    put(&bench, &[(1, None), (2, None)]).await;
    let text = format!(
        "{RARELY}CREATE TABLE i (v INT) WITH ({KAFKA}, 'topic' = 'in', 'scan.startup.mode' = 'earliest-offset');
         CREATE TABLE o (v INT) WITH ({KAFKA}, 'topic' = 'o');
         INSERT INTO o SELECT v FROM i;
         INSERT INTO o SELECT v * 10 FROM i;"
    );
    let jobs = || compile("test.sql", &text, &CompileContext::default()).unwrap().jobs;
    let mut rows = 4;
    for round in 0..3 {
        let manager = bench.manager();
        let ids: Vec<String> = jobs().into_iter().map(|job| manager.submit(job).unwrap()).collect();
        let mut found = written(&bench.log, rows).await.remove("o").unwrap();
        // Killed, each behind its checkpoint of the start.
        for id in &ids {
            manager.cancel(id).unwrap();
            reach(&manager, id, JobState::Canceled).await;
        }
        found.sort();
        let mut wanted: Vec<String> =
            (1..=2 + round).flat_map(|v| [v, v * 10]).map(|v| format!("null {{\"v\":{v}}}")).collect();
        wanted.sort();
        assert_eq!(found, wanted, "round {round}");
        put(&bench, &[(3 + round, None)]).await;
        rows += 2;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_a_name_or_a_value_is_not_written() {
    let bench = bench_with(&[("in", 1)]).await;
    put(&bench, &[(1, None)]).await;
    let select = "SELECT v, MAP['a', X'01', CAST(NULL AS STRING), X'02', 'c', CAST(NULL AS BYTES)]";
    let columns = "v INT, h MAP<STRING, BYTES> METADATA FROM 'headers'";
    let manager = bench.manager();
    manager.submit(plan(&routed("'topic' = 'o'", columns, select))).unwrap();
    written(&bench.log, 1).await;
    stop(&manager);
    let found = records(&*bench.log, "o").await;
    let own = |name: &bytes::Bytes| name.starts_with(b"thm.");
    let headers: Vec<_> = found[0].headers.iter().filter(|(name, _)| !own(name)).collect();
    assert_eq!(headers.len(), 1, "{headers:?}");
    assert_eq!((&headers[0].0[..], headers[0].1.as_deref()), (&b"a"[..], Some(&b"\x01"[..])));
}
