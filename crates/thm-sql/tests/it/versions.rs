//! A changed file is a new version: where it starts, and what a changed table means to it.

use thm_api::{Log, Op, TopicSpec};
use thm_sql::{From, JobState};

use crate::fixture::{Bench, CONTENT, EVENTS, OURS, Written, content, event, plan, reach, uuid};

fn texts(written: &[Written]) -> Vec<String> {
    written.iter().map(Written::text).collect()
}

fn by_content() -> String {
    OURS.replace(
        "PRIMARY KEY (id) NOT ENFORCED\n) WITH (\n  'connector' = 'upsert-kafka'",
        "PRIMARY KEY (content_id) NOT ENFORCED\n) WITH (\n  'connector' = 'upsert-kafka'",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_needs_a_place_to_start_from() {
    let bench = Bench::new().await;
    bench.write(&[event(10, Op::Create, 1, "1", None), event(11, Op::Create, 2, "2", None)], true).await;
    bench.complete_to(11);
    let manager = bench.manager();
    let id = manager.submit(plan(OURS)).unwrap();
    bench.wait_for(2).await;
    let refused = tokio::task::block_in_place(|| manager.replace(plan(&by_content()))).unwrap_err();
    assert!(refused.hint().contains("--from"), "{refused:?}");
    assert_eq!(manager.job(&id).unwrap().state, JobState::Running, "the old version runs on");
    tokio::task::block_in_place(|| manager.replace_from(plan(&by_content()), Some(From::Earliest))).unwrap();
    let out = texts(&bench.wait_for(4).await);
    assert!(out[2].starts_with(&format!("{{\"content_id\":\"{}\"}}", uuid("1"))), "{out:?}");
    tokio::task::block_in_place(|| manager.stop());
    // From here on it is the version that goes on, without being told where.
    bench.write(&[event(12, Op::Create, 3, "3", None)], true).await;
    bench.complete_to(12);
    let again = bench.manager();
    again.submit(plan(&by_content())).unwrap();
    assert_eq!(bench.wait_for(5).await.len(), 5);
    let id = again.job(&id).unwrap().id;
    again.cancel(&id).unwrap();
    reach(&again, &id, JobState::Canceled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_latest_and_from_a_time_skip_what_was_before() {
    for (from, wanted) in [(From::Latest, 1), (From::Timestamp(1_700_000_000_011), 2)] {
        let bench = Bench::new().await;
        bench.write(&[event(10, Op::Create, 1, "1", None), event(11, Op::Create, 2, "1", None)], true).await;
        bench.complete_to(11);
        let manager = bench.manager();
        manager.submit_from(plan(OURS), Some(from)).unwrap();
        while bench.state.list("sql/").unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        bench.write(&[event(12, Op::Create, 3, "1", None)], true).await;
        bench.complete_to(12);
        let out = texts(&bench.wait_for(wanted).await);
        assert!(out.last().unwrap().starts_with("{\"id\":3}"), "{out:?}");
        assert_eq!(out.len(), wanted, "{from:?}");
        tokio::task::block_in_place(|| manager.stop());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_only_postgresql_has_is_null_and_no_sign_of_another_type() {
    let bench = Bench::new().await;
    bench.write(&[event(10, Op::Create, 1, "1", Some(7))], false).await;
    let mut lsn = 11;
    for time in [
        "infinity",
        "-infinity",
        "+294246-12-31T23:59:59.999999Z",
        "-0043-03-15T10:00:00.000000Z",
        "10000-01-01T00:00:00Z",
    ] {
        let change = event(lsn, Op::Create, i64::try_from(lsn).unwrap(), "1", None);
        let value = change.value();
        let at = value.find("\"event_ts\":\"").unwrap() + 12;
        let end = at + value[at..].find('"').unwrap();
        bench.write_value(&change, &format!("{}{time}{}", &value[..at], &value[end..])).await;
        lsn += 1;
    }
    bench.complete_to(lsn);
    let manager = bench.manager();
    manager.submit(plan(OURS)).unwrap();
    let out = texts(&bench.wait_for(6).await);
    assert!(out[1].contains("\"event_ts\":null"), "{out:?}");
    tokio::task::block_in_place(|| manager.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_dropped_fails_the_jobs_that_use_it() {
    for with_columns in [true, false] {
        let bench = Bench::new().await;
        bench.write(&[content(5, Op::Read, "1", "podcast", Some(10))], true).await;
        bench.write(&[event(10, Op::Create, 1, "1", Some(7))], with_columns).await;
        bench.complete_to(10);
        let manager = bench.manager();
        let id = manager.submit(plan(OURS)).unwrap();
        bench.wait_for(1).await;
        // ADD COLUMN: another column is nobody's business.
        let dropped = event(11, Op::Create, 2, "1", None);
        let value = dropped.value().replace("\"duration_ms\":null,", "\"extra\":1,");
        assert!(value.contains("extra"));
        let left = ["id", "content_id", "user_id", "event_type", "event_ts", "device", "raw_payload"];
        bench.write_altered(&dropped, &value, with_columns.then_some(&left[..])).await;
        bench.complete_to(11);
        let status = reach(&manager, &id, JobState::Failed).await;
        let said = status.exception.unwrap();
        assert!(said.contains("duration_ms") && said.contains("LSN 0/B"), "{said}");
        assert!(bench.log_has(EVENTS) && bench.log_has(CONTENT), "topics go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_added_is_ignored_and_one_that_is_retyped_fails_the_job() {
    let bench = Bench::new().await;
    bench.write(&[event(10, Op::Create, 1, "1", Some(7))], false).await;
    bench.complete_to(10);
    let manager = bench.manager();
    let id = manager.submit(plan(OURS)).unwrap();
    bench.wait_for(1).await;
    let added = event(11, Op::Create, 2, "1", Some(8));
    bench.write_value(&added, &added.value().replace("\"device\"", "\"new\":1,\"device\"")).await;
    bench.complete_to(11);
    bench.wait_for(2).await;
    let retyped = event(12, Op::Create, 3, "1", Some(9));
    bench.write_value(&retyped, &retyped.value().replace("\"duration_ms\":9", "\"duration_ms\":\"nine\"")).await;
    bench.complete_to(12);
    let said = reach(&manager, &id, JobState::Failed).await.exception.unwrap();
    assert!(said.contains("duration_ms") && said.contains("another type"), "{said}");
}

/// What a job says that has read one event with a duration of 7 ms and then one of the altered table.
async fn retyped(with_columns: bool, alter: impl AsyncFnOnce(&Bench)) -> String {
    let bench = Bench::new().await;
    for (lsn, id) in [(10, 1), (11, 2)] {
        bench.write(&[event(lsn, Op::Create, id, "1", Some(7))], with_columns).await;
    }
    bench.complete_to(11);
    let manager = bench.manager();
    let id = manager.submit(plan(OURS)).unwrap();
    bench.wait_for(2).await;
    tokio::task::block_in_place(|| manager.stop());
    // What has been seen is known after a restart.
    let manager = bench.manager();
    manager.submit(plan(OURS)).unwrap();
    alter(&bench).await;
    bench.complete_to(12);
    reach(&manager, &id, JobState::Failed).await.exception.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retyped_column_fails_the_job_although_its_values_still_fit() {
    let change = event(12, Op::Create, 3, "1", Some(9));
    // integer → bigint: the records look as before, the source's columns do not.
    let wider = async |bench: &Bench| {
        bench
            .write_with(std::slice::from_ref(&change), |columns| {
                let (_, column) = columns.iter_mut().find(|(name, _)| *name == "duration_ms").unwrap();
                *column = std::sync::Arc::new(arrow::array::Int64Array::from(vec![9]));
            })
            .await;
    };
    // integer → text: read from the log, where there are no columns.
    let text = change.value().replace("\"duration_ms\":9", "\"duration_ms\":\"9\"");
    let texts = async |bench: &Bench| bench.write_value(&change, &text).await;
    for said in [retyped(true, wider).await, retyped(false, texts).await] {
        assert!(said.contains("'duration_ms' has another type") && said.contains("LSN 0/C"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_evaluated_goes_to_the_dead_letter_queue_alone() {
    let dividing = OURS.replace("  e.device,", "  CAST(100 / (e.duration_ms - 7) AS STRING),");
    assert_ne!(dividing, OURS);
    let events: Vec<_> =
        (1..=3).map(|id| event(10, Op::Create, id, "1", Some(5 + i32::try_from(id).unwrap()))).collect();
    let bench = Bench::new().await;
    bench.write(&events, true).await;
    bench.complete_to(10);
    let manager = bench.manager();
    let id = manager.submit(plan(&dividing)).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    assert!(status.hint.unwrap().contains("errors.tolerance"));
    let said = status.exception.unwrap();
    for part in ["offset 1", "column 'device'", "CAST((100 / (duration_ms - 7)) AS STRING)", "key {\"id\":2}"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let tolerant =
        format!("SET 'errors.tolerance' = 'all'; SET 'errors.deadletterqueue.topic.name' = 'dlq.enrich';\n{dividing}");
    for _ in 0..2 {
        let id = manager.submit(plan(&tolerant)).unwrap();
        let out = texts(&bench.wait_for(2).await);
        assert!(out[0].starts_with("{\"id\":1}") && out[1].starts_with("{\"id\":3}"), "{out:?}");
        manager.cancel(&id).unwrap();
        reach(&manager, &id, JobState::Canceled).await;
        // As after a crash before the checkpoint: all is read again.
        bench.state.delete(&format!("sql/{id}/checkpoint")).unwrap();
    }
    let letters = crate::fixture::records(&*bench.log, "dlq.enrich").await;
    assert_eq!(letters.len(), 1, "each once");
    assert_eq!(letters[0].key.as_deref(), Some(&b"{\"id\":2}"[..]));
    assert_eq!(letters[0].header("__connect.errors.offset").as_deref(), Some("1"));
    assert!(letters[0].header("__connect.errors.exception.message").unwrap().contains("by zero"));
    let said = letters[0].header("__connect.errors.exception.message").unwrap();
    assert!(said.contains("(duration_ms - 7)") && said.contains("key {\"id\":2}"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_written_costs_the_rows_before_it_nothing() {
    let ignoring = "  'debezium-json.ignore-parse-errors' = 'true',\n";
    assert!(OURS.contains(ignoring) && OURS.contains("  e.id,\n"));
    let keyless = OURS.replace("  e.id,\n", "  NULLIF(e.id, 3),\n").replace(ignoring, "");
    let events: Vec<_> = (1..=4).map(|id| event(10, Op::Create, id, "1", Some(5))).collect();
    let bench = Bench::new().await;
    bench.write(&events, true).await;
    bench.complete_to(10);
    let manager = bench.manager();
    manager.submit(plan(&format!("SET 'errors.tolerance' = 'all';\n{keyless}"))).unwrap();
    let out = texts(&bench.wait_for(3).await);
    let keys: Vec<&str> = out.iter().map(|record| &record[..8]).collect();
    assert_eq!(keys, ["{\"id\":1}", "{\"id\":2}", "{\"id\":4}"], "each once, and none of the row without a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_several_tables_holds_each_against_its_own_columns() {
    let bench = Bench::new().await;
    let manager = bench.manager();
    let id = manager.submit(plan(OURS)).unwrap();
    let other = |lsn: u64, id: i64| event(lsn, Op::Create, id, "1", Some(8));
    let value = |change: &crate::fixture::Change| {
        change.value().replace("\"table\":\"t\"", "\"table\":\"clicks\"").replace("\"device\":\"ios\",", "")
    };
    bench.write(&[event(10, Op::Create, 1, "1", Some(7))], true).await;
    bench.write_value(&other(11, 2), &value(&other(11, 2))).await;
    bench.write(&[event(12, Op::Create, 3, "1", Some(7))], true).await;
    bench.complete_to(12);
    let out = texts(&bench.wait_for(3).await);
    assert!(out[1].contains("\"device\":null") && out[2].contains("\"device\":\"ios\""), "{out:?}");
    let gone = other(13, 4);
    bench.write_value(&gone, &value(&gone).replace("\"duration_ms\":8,", "")).await;
    bench.complete_to(13);
    let said = reach(&manager, &id, JobState::Failed).await.exception.unwrap();
    assert!(said.contains("duration_ms") && said.contains("no longer in the captured table"), "{said}");
}

/// Values of all partitions of the topic `spread`, as soon as there are so many.
async fn spread(bench: &Bench, count: usize) -> Vec<String> {
    let begun = std::time::Instant::now();
    loop {
        let mut all = Vec::new();
        for partition in 0..2 {
            let found = crate::fixture::records_of(&*bench.log, "spread", partition).await;
            all.extend(found.iter().map(|record| String::from_utf8_lossy(record.value.as_ref().unwrap()).into_owned()));
        }
        if all.len() >= count {
            all.sort();
            return all;
        }
        assert!(begun.elapsed().as_secs() < 10, "only {all:?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_sends_a_record_that_comes_again_to_the_partition_where_it_is() {
    let bench = Bench::new().await;
    bench.log.create_topic(&TopicSpec { partitions: 2, ..TopicSpec::new("spread") }).await.unwrap();
    bench.log.create_topic(&TopicSpec::new("in")).await.unwrap();
    let table = |name: &str, more: &str| {
        format!(
            "CREATE TABLE {name}_t (v INT) WITH ('connector' = 'kafka', 'topic' = '{name}', 'format' = 'json',
             'properties.bootstrap.servers' = 'x', {more});\n"
        )
    };
    let text = format!(
        "SET 'execution.checkpointing.interval' = '20ms';\n{}{}INSERT INTO spread_t SELECT v FROM in_t;",
        table("in", "'scan.startup.mode' = 'earliest-offset'"),
        table("spread", "'sink.partitioner' = 'round-robin'")
    );
    let manager = bench.manager();
    bench.foreign("in", &[(None, Some("{\"v\":0}"))]).await;
    let id = manager.submit(plan(&text)).unwrap();
    spread(&bench, 1).await;
    let stored = format!("sql/{id}/checkpoint");
    let begun = std::time::Instant::now();
    let early = loop {
        let bytes = bench.state.get(&stored).unwrap().unwrap_or_default();
        if String::from_utf8_lossy(&bytes).contains("\"offset\":1") {
            break bytes;
        }
        assert!(begun.elapsed().as_secs() < 10, "no checkpoint comes");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    // One after the other, so that the partitions have come to different places.
    for v in 1..=2 {
        bench.foreign("in", &[(None, Some(&format!("{{\"v\":{v}}}")))]).await;
        spread(&bench, v + 1).await;
    }
    manager.cancel(&id).unwrap();
    reach(&manager, &id, JobState::Canceled).await;
    // As after a crash before the next checkpoint.
    bench.state.put(&stored, &early).unwrap();
    manager.submit(plan(&text)).unwrap();
    bench.foreign("in", &[(None, Some("{\"v\":3}"))]).await;
    let all = spread(&bench, 4).await;
    assert_eq!(all, ["{\"v\":0}", "{\"v\":1}", "{\"v\":2}", "{\"v\":3}"], "each once");
}
