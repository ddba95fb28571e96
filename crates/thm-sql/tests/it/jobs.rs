//! Jobs on a log: what comes out, in which order, and that nothing is lost or doubled whenever they are killed.

use std::time::Duration;

use thm_api::{Lsn, Op, Position};
use thm_sql::JobState;

use crate::fixture::{
    Bench, CONTENT, Change, EVENTS, OURS, PUBLISHED, Row, Written, content, event, plan, reach, uuid,
};

/// A small generator (splitmix64): the same seed gives the same test.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn texts(written: &[Written]) -> Vec<String> {
    written.iter().map(Written::text).collect()
}

async fn run(bench: &Bench, sql: &str, records: usize) -> Vec<Written> {
    let manager = bench.manager();
    let id = manager.submit(plan(sql)).unwrap();
    let out = bench.wait_for(records).await;
    manager.cancel(&id).unwrap();
    reach(&manager, &id, JobState::Canceled).await;
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn both_files_give_the_row_that_the_contract_says() {
    for (sql, seconds, pct) in [(OURS, "12.35", "0.69"), (PUBLISHED, "12.35", "0.69")] {
        for columns in [false, true] {
            let bench = Bench::new().await;
            bench.write(&[content(5, Op::Read, "1", "podcast", Some(1800))], columns).await;
            bench.write(&[event(10, Op::Create, 1, "1", Some(12_345))], columns).await;
            bench.complete_to(10);
            let out = run(&bench, sql, 1).await;
            let wanted = format!(
                "{{\"id\":1}} {{\"id\":1,\"content_id\":\"{}\",\"user_id\":\"{}\",\"event_type\":\"play\",\"event_ts\":\"2024-01-02 03:05:01.015\",\"device\":\"ios\",\"content_type\":\"podcast\",\"length_seconds\":1800,\"engagement_seconds\":{seconds},\"engagement_pct\":{pct},\"raw_payload\":\"{{\\\"n\\\": 1}}\"}}",
                uuid("1"),
                uuid("9")
            );
            assert_eq!(texts(&out), [wanted]);
            assert_eq!(out[0].header("thm.op").as_deref(), Some("c"));
            assert_eq!(out[0].header("thm.pos").as_deref(), Some("0/A:1"));
            assert_eq!(out[0].header("thm.ts").as_deref(), Some("1700000000010123"));
            assert_eq!(out[0].timestamp_ms, 1_700_000_000_010);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percentage_that_does_not_fit_or_has_no_length_is_null() {
    let bench = Bench::new().await;
    let snapshot = [
        content(5, Op::Read, "1", "podcast", Some(1)),
        content(5, Op::Read, "2", "video", Some(0)),
        content(5, Op::Read, "3", "video", None),
    ];
    bench.write(&snapshot, false).await;
    let events = [
        event(10, Op::Create, 1, "1", Some(600_000)),
        event(11, Op::Create, 2, "2", Some(1_000)),
        event(12, Op::Create, 3, "3", Some(1_000)),
        event(13, Op::Create, 4, "1", None),
        event(14, Op::Create, 5, "1", Some(100)),
    ];
    bench.write(&events, false).await;
    bench.complete_to(20);
    let out = texts(&run(&bench, OURS, 5).await);
    let part = |text: &String| {
        text[text.find("\"engagement_seconds\"").unwrap()..text.find(",\"raw_payload\"").unwrap()].to_owned()
    };
    let parts: Vec<String> = out.iter().map(part).collect();
    assert_eq!(parts[0], "\"engagement_seconds\":600,\"engagement_pct\":null");
    assert_eq!(parts[1], "\"engagement_seconds\":1,\"engagement_pct\":null");
    assert_eq!(parts[2], "\"engagement_seconds\":1,\"engagement_pct\":null");
    assert_eq!(parts[3], "\"engagement_seconds\":null,\"engagement_pct\":null");
    assert_eq!(parts[4], "\"engagement_seconds\":0.1,\"engagement_pct\":10");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_meets_its_content_as_of_its_own_commit() {
    let bench = Bench::new().await;
    // All content changes are in the log before any event is.
    let changes = [
        content(5, Op::Read, "1", "podcast", Some(100)),
        content(20, Op::Update, "1", "video", Some(200)),
        content(30, Op::Delete, "1", "", None),
        content(40, Op::Create, "1", "newsletter", Some(400)),
    ];
    bench.write(&changes, true).await;
    let events = [10, 20, 25, 35, 45].map(|lsn| event(lsn, Op::Create, i64::try_from(lsn).unwrap(), "1", None));
    bench.write(&events, true).await;
    bench.complete_to(50);
    let out = texts(&run(&bench, OURS, 5).await);
    for (text, kind) in out.iter().zip(["\"podcast\"", "\"video\"", "\"video\"", "null", "\"newsletter\""]) {
        assert!(text.contains(&format!("\"content_type\":{kind}")), "{kind} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_held_until_the_look_up_is_complete() {
    let bench = Bench::new().await;
    let manager = bench.manager();
    manager.submit(plan(OURS)).unwrap();
    bench.write(&[content(5, Op::Read, "1", "podcast", Some(100))], true).await;
    bench.write(&[event(5, Op::Read, 1, "2", None)], true).await;
    bench.complete(Position::snapshot(Lsn(5)), &[CONTENT]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(bench.output().await.is_empty(), "the look-up is not whole yet");
    bench.write(&[content(5, Op::Read, "2", "video", Some(100))], true).await;
    bench.complete(Position::snapshot(Lsn(5)), &[]);
    let out = texts(&bench.wait_for(1).await);
    assert!(out[0].contains("\"content_type\":\"video\""), "{}", out[0]);
    // A streamed event waits until the source has said that content is complete up to it.
    bench.write(&[event(9, Op::Create, 2, "2", None)], true).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.output().await.len(), 1);
    bench.complete_to(9);
    bench.wait_for(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_deletes_and_filtered_updates_go_by_key() {
    for columns in [false, true] {
        let bench = Bench::new().await;
        let mut unfiltered = event(12, Op::Update, 1, "1", Some(3_000));
        if let Row::Event { kind, .. } = &mut unfiltered.row {
            *kind = None;
        }
        let events = [
            event(10, Op::Create, 1, "1", Some(1_000)),
            event(11, Op::Update, 1, "1", Some(2_000)),
            unfiltered,
            event(13, Op::Delete, 2, "1", None),
        ];
        bench.write(&events, columns).await;
        bench.complete_to(20);
        let out = run(&bench, OURS, 4).await;
        let ops: Vec<Option<String>> = out.iter().map(|written| written.header("thm.op")).collect();
        assert_eq!(ops, ["c", "u", "u", "d"].map(|op| Some(op.to_owned())));
        let shown = texts(&out);
        assert!(shown[1].contains("\"engagement_seconds\":2,"), "{}", shown[1]);
        assert_eq!(&shown[2..], ["{\"id\":1} null", "{\"id\":2} null"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_records_take_the_place_before_them_and_bad_ones_are_skipped() {
    let bench = Bench::new().await;
    bench.write(&[content(5, Op::Read, "1", "podcast", Some(100))], true).await;
    bench.write(&[event(10, Op::Create, 1, "1", None)], true).await;
    let good = r#"{"before":null,"after":{"id":2,"event_type":"click","event_ts":"2024-01-02T03:05:01Z"},"op":"c"}"#;
    let unparsable = r#"{"before":null,"after":{"id":"x","event_type":"click"},"op":"c"}"#;
    bench
        .foreign(EVENTS, &[(None, Some("not json")), (None, Some(good)), (None, None), (None, Some(unparsable))])
        .await;
    bench.complete_to(20);
    let out = run(&bench, OURS, 2).await;
    assert_eq!(out.len(), 2);
    assert!(out[1].text().starts_with("{\"id\":2} {\"id\":2,\"content_id\":null"), "{}", out[1].text());
    assert_eq!(out[1].header("thm.pos").as_deref(), Some("0/A:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_fails_a_strict_job_with_its_place() {
    let bench = Bench::new().await;
    bench.foreign(EVENTS, &[(None, Some(r#"{"after":{"id":"x"},"op":"c"}"#))]).await;
    let strict = OURS.replace("  'debezium-json.ignore-parse-errors' = 'true',\n", "");
    let manager = bench.manager();
    let id = manager.submit(plan(&strict)).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    let exception = status.exception.unwrap();
    for part in ["THM-SQL-002", EVENTS, "partition 0", "offset 0", "field: id"] {
        assert!(exception.contains(part), "{part} in {exception}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_its_source_and_stops_with_a_checkpoint() {
    let bench = Bench::new().await;
    let manager = bench.manager();
    let elsewhere = OURS.replace("'pg.public.engagement_events'", "'pg.public.later'");
    let id = manager.submit(plan(&elsewhere)).unwrap();
    reach(&manager, &id, JobState::Running).await;
    assert!(manager.submit(plan(&elsewhere)).is_err(), "a running job is not replaced");
    tokio::task::block_in_place(|| manager.stop());
    assert_eq!(manager.job(&id).unwrap().state, JobState::Suspended);
    let id = manager.submit(plan(OURS)).unwrap();
    bench.write(&[event(10, Op::Create, 1, "1", None)], true).await;
    bench.complete_to(10);
    bench.wait_for(1).await;
    tokio::task::block_in_place(|| manager.stop());
    let status = manager.job(&id).unwrap();
    assert_eq!((status.state, status.records_out, status.lag), (JobState::Suspended, 1, 0));
    assert!(status.checkpoints.completed >= 1 && status.checkpoints.latest_id.is_some());
    let manager = bench.manager();
    manager.submit(plan(OURS)).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.output().await.len(), 1, "nothing is written twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_refused_and_a_changed_value_goes_on() {
    let bench = Bench::new().await;
    bench.write(&[event(10, Op::Create, 1, "1", Some(1_234))], true).await;
    bench.complete_to(10);
    let manager = bench.manager();
    manager.submit(plan(OURS)).unwrap();
    bench.wait_for(1).await;
    tokio::task::block_in_place(|| manager.stop());
    let other = OURS.replace("/ 1000.0, 2)\n  END AS engagement_seconds", "/ 1000.0, 1)\n  END AS engagement_seconds");
    assert_ne!(plan(OURS).hash(), plan(&other).hash());
    bench.write(&[event(11, Op::Create, 2, "1", Some(1_234))], true).await;
    bench.complete_to(11);
    manager.submit(plan(&other)).unwrap();
    let out = texts(&bench.wait_for(2).await);
    assert!(out[1].contains("\"engagement_seconds\":1.2,"), "{}", out[1]);
    tokio::task::block_in_place(|| manager.stop());
    let key = OURS.replace(
        "PRIMARY KEY (id) NOT ENFORCED\n) WITH (\n  'connector' = 'upsert-kafka'",
        "PRIMARY KEY (content_id) NOT ENFORCED\n) WITH (\n  'connector' = 'upsert-kafka'",
    );
    let id = manager.submit(plan(&key)).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    assert!(status.hint.unwrap().contains("pipeline.name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_covers_durable_output_only() {
    let bench = Bench::new().await;
    bench.write(&[event(10, Op::Create, 1, "1", None)], true).await;
    bench.complete_to(10);
    let manager = bench.manager();
    let id = manager.submit(plan(&quick())).unwrap();
    bench.wait_for(1).await;
    let consumed = || {
        let stored = bench.state.get(&format!("sql/{id}/checkpoint")).unwrap().unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
        let inputs = stored["inputs"].as_array().unwrap().clone();
        inputs.iter().find(|input| input["topic"] == EVENTS).unwrap()["offset"].as_i64().unwrap()
    };
    let reach = async |offset: i64| {
        for _ in 0..1_000 {
            if consumed() == offset {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no checkpoint at {offset}");
    };
    reach(1).await;
    bench.write(&[event(11, Op::Create, 2, "1", None)], true).await;
    bench.log.hold_durability(true);
    bench.complete_to(11);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(consumed(), 1, "the second record's output is not durable");
    bench.log.hold_durability(false);
    bench.wait_for(2).await;
    reach(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_differ_from_the_json_are_not_used() {
    let bench = Bench::new().await;
    // What is there is learnt from records; then their columns are taken as they are, but for texts that differ.
    bench.write(&[event(9, Op::Create, 9, "1", None)], true).await;
    bench
        .write_with(&[event(10, Op::Create, 8, "1", Some(7_000))], |columns| {
            let other: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int32Array::from(vec![9_000]));
            columns
                .iter_mut()
                .filter(|(name, _)| *name == "duration_ms")
                .for_each(|(_, column)| *column = other.clone());
        })
        .await;
    let changes = [event(10, Op::Create, 1, "1", None), event(11, Op::Create, 2, "2", None)];
    bench
        .write_with(&changes, |columns| {
            let wrong: arrow::array::ArrayRef =
                std::sync::Arc::new(arrow::array::StringArray::from(vec!["Dw==", "Dw=="]));
            columns.iter_mut().filter(|(name, _)| *name == "device").for_each(|(_, column)| *column = wrong.clone());
        })
        .await;
    bench.complete_to(20);
    let out = texts(&run(&bench, OURS, 4).await);
    assert!(out.iter().all(|text| text.contains("\"device\":\"ios\"")), "{out:?}");
    assert!(out[1].contains("\"engagement_seconds\":9"), "{out:?}");
}

/// Content and events in commit order, with every kind of change.
pub fn workload(seed: u64, count: u64) -> Vec<Change> {
    let mut random = Random(seed);
    let mut out: Vec<Change> = (0..6).map(|id| content(5, Op::Read, &id.to_string(), "podcast", Some(100))).collect();
    let kinds = ["podcast", "video", "newsletter"];
    for lsn in 10..10 + count {
        let id = random.below(8).to_string();
        out.push(match random.below(12) {
            0 => content(lsn, Op::Update, &id, kinds[random.below(3) as usize], Some(random.below(500) as i32)),
            1 => content(lsn, Op::Delete, &id, "", None),
            2 => event(lsn, Op::Update, random.below(lsn) as i64, &id, Some(random.below(90_000) as i32)),
            3 => event(lsn, Op::Delete, random.below(lsn) as i64, &id, None),
            4 => {
                let mut dropped = event(lsn, Op::Create, lsn as i64, &id, None);
                if let Row::Event { kind, .. } = &mut dropped.row {
                    *kind = None;
                }
                dropped
            }
            _ => event(lsn, Op::Create, lsn as i64, &id, Some(random.below(90_000) as i32)),
        });
    }
    out
}

/// Writes the workload in commit order, in batches of random size, with statements of completeness between.
async fn feed(bench: &Bench, changes: &[Change], seed: u64) {
    let mut random = Random(seed);
    let mut left = changes;
    while !left.is_empty() {
        let count = (1 + random.below(40) as usize).min(left.len());
        let (now, later) = left.split_at(count);
        for topic in [CONTENT, EVENTS] {
            let of_topic: Vec<Change> = now.iter().filter(|change| change.topic == topic).cloned().collect();
            bench.write(&of_topic, random.below(2) == 0).await;
        }
        bench.complete(now.last().unwrap().position(), &[]);
        left = later;
        tokio::time::sleep(Duration::from_millis(random.below(4))).await;
    }
    bench.complete_to(1_000_000);
}

pub fn quick() -> String {
    OURS.replace("'10s'", "'7ms'")
}

/// The output of a run that nothing disturbs.
pub async fn undisturbed(changes: &[Change]) -> Vec<Written> {
    let bench = Bench::new().await;
    feed(&bench, changes, 1).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&quick())).unwrap();
    let events = changes.iter().filter(|change| change.topic == EVENTS).count() as u64;
    let mut before = usize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let status = manager.job(&id).unwrap();
        assert_eq!(status.state, JobState::Running, "{status:?}");
        let now = bench.output().await.len();
        if now == before && status.records_in == events {
            return bench.output().await;
        }
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_at_random_moments_writes_what_an_undisturbed_one_writes() {
    let changes = workload(7, 1_500);
    let wanted = undisturbed(&changes).await;
    assert!(wanted.len() > 1_000);
    for seed in 0..3 {
        let bench = Bench::new().await;
        let feeding = feed(&bench, &changes, seed);
        let killing = async {
            let mut random = Random(seed + 100);
            for _ in 0..20 {
                let manager = bench.manager();
                let id = manager.submit(plan(&quick())).unwrap();
                tokio::time::sleep(Duration::from_millis(random.below(25))).await;
                manager.cancel(&id).unwrap();
                reach(&manager, &id, JobState::Canceled).await;
            }
        };
        tokio::join!(feeding, killing);
        let manager = bench.manager();
        manager.submit(plan(&quick())).unwrap();
        bench.wait_for(wanted.len()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let found = bench.output().await;
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert_eq!(found, wanted, "record {at}, seed {seed}");
        }
        assert_eq!(found.len(), wanted.len(), "seed {seed}");
        tokio::task::block_in_place(|| manager.stop());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_checkpoint_costs_work_but_no_record() {
    let changes = workload(9, 300);
    let wanted = undisturbed(&changes).await;
    let bench = Bench::new().await;
    feed(&bench, &changes, 3).await;
    let manager = bench.manager();
    manager.submit(plan(&quick())).unwrap();
    bench.wait_for(wanted.len() / 2).await;
    tokio::task::block_in_place(|| manager.stop());
    for key in bench.state.list("sql/").unwrap() {
        bench.state.delete(&key).unwrap();
    }
    let manager = bench.manager();
    manager.submit(plan(&quick())).unwrap();
    bench.wait_for(wanted.len()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.output().await, wanted);
}
