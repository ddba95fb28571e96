//! What the worker promises to sinks.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{ErrorKind, Generation, Log, Offset, ReadLimits, Registry, TopicPartition, TopicSpec};
use thm_connect::{Herder, HerderOptions, InitialState, RawConfig, State};

use crate::fake_sink::{Attempt, FakeSink, Fault, Target};
use crate::stage::{Stage, config, task, task_is, until};

fn registry(target: &Arc<Target>) -> Registry {
    Registry::default().with(FakeSink(Arc::clone(target)))
}

fn sink(more: &[(&str, &str)]) -> RawConfig {
    let mut all = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "fake")]);
    all.extend(config(more));
    all
}

async fn create(herder: &Herder, more: &[(&str, &str)]) {
    herder.create("s", sink(more), InitialState::Running).await.unwrap();
}

#[tokio::test]
async fn records_arrive_in_order_and_are_committed() {
    let (stage, target) = (Stage::new(), Target::new(2, false));
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    task_is(&herder, "s", State::Running).await;
    // The topic comes after the sink, as it does when everything starts at once.
    stage.produce("t", &["a", "b", "c"]).await;
    until("all delivered", || target.values() == ["a", "b", "c"]).await;
    let ranges: Vec<(i64, i64)> = target.attempts().iter().map(|attempt| (attempt.first, attempt.last)).collect();
    assert_eq!(ranges, [(0, 1), (2, 2)], "batches as the policy says");
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(3))).await;
    let task = task(&herder, "s");
    assert_eq!((task.records, task.lag(), task.retrying), (3, 0, false));
    assert_eq!(herder.topics("s"), ["t"]);
    herder.stop().await;
    assert_eq!(target.state.lock().closes, 1);
}

#[tokio::test]
async fn an_unreachable_target_is_tried_again_with_the_same_range() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a", "b"]).await;
    target.fault(Fault::Fail(ErrorKind::SinkUnreachable));
    target.fault(Fault::Fail(ErrorKind::SinkUnreachable));
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("delivered", || target.values() == ["a", "b"]).await;
    let attempts = target.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]));
    assert_eq!(target.state.lock().opens, 3, "opened again after each error");
    until("not retrying", || !task(&herder, "s").retrying).await;
    assert_eq!(task(&herder, "s").retries, 2);
    herder.stop().await;
}

#[tokio::test]
async fn why_a_running_task_tries_again_is_told_until_it_has_delivered() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    target.fault(Fault::Fail(ErrorKind::SinkUnreachable));
    target.fault(Fault::WriteAndHang);
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[("thm.write.timeout.ms", "400")]).await;
    // The sink has been opened anew and hangs: that it opens ends no trouble.
    until("the second attempt", || target.attempts().len() == 2).await;
    let trace = task(&herder, "s").trace.unwrap_or_default();
    assert!(trace.starts_with("THM-SNK-001 ") && trace.contains("tries again"), "{trace}");
    assert_eq!(task(&herder, "s").state, State::Running);
    until("delivered", || !task(&herder, "s").retrying).await;
    assert_eq!(task(&herder, "s").trace, None);
    herder.stop().await;
}

#[tokio::test]
async fn other_errors_fail_the_task_until_it_is_restarted() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    target.fault(Fault::Fail(ErrorKind::SinkDenied));
    target.fault(Fault::Panic);
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    task_is(&herder, "s", State::Failed).await;
    let trace = task(&herder, "s").trace.unwrap();
    assert!(trace.starts_with("THM-SNK-002 ") && trace.contains(ErrorKind::SinkDenied.hint()), "{trace}");
    herder.restart_task("s", 0).await.unwrap();
    until("panicked", || target.attempts().len() == 2).await;
    task_is(&herder, "s", State::Failed).await;
    // A failed task stays failed through a pause.
    herder.pause("s").await.unwrap();
    task_is(&herder, "s", State::Failed).await;
    herder.resume("s").await.unwrap();
    until("delivered", || target.values() == ["a"]).await;
    herder.stop().await;
}

#[tokio::test]
async fn a_write_without_an_answer_is_given_up_and_repeated() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    target.fault(Fault::WriteAndHang);
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[("thm.write.timeout.ms", "50")]).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(1))).await;
    let attempts = target.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0], attempts[1]);
    assert!(task(&herder, "s").last_error.unwrap().contains("no answer within 50 ms"));
    herder.stop().await;
}

#[tokio::test]
async fn refused_records_fail_the_task_by_default() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a", "b", "c"]).await;
    target.fault(Fault::Refuse(vec!["b"]));
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    task_is(&herder, "s", State::Failed).await;
    assert!(task(&herder, "s").trace.unwrap().contains("at t-0 offset 1: field v: b is refused"));
    assert!(target.values().is_empty(), "nothing is skipped");
    herder.stop().await;
    assert_ne!(stage.committed("connect-s", "t"), Some(Offset(3)));
}

#[tokio::test]
async fn refused_records_go_to_the_dead_letter_queue_alone_with_the_reason() {
    let (stage, target) = (Stage::new(), Target::new(10, true));
    stage.produce("t", &["a", "b", "c", "d"]).await;
    target.fault(Fault::Refuse(vec!["b"]));
    target.fault(Fault::Refuse(vec!["d"]));
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[("errors.tolerance", "all")]).await;
    until("the others delivered", || target.values() == ["a", "c"]).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(4))).await;
    let ranges: Vec<(i64, i64)> = target.attempts().iter().map(|attempt| (attempt.first, attempt.last)).collect();
    assert_eq!(ranges, [(0, 3); 3], "the same range without the refused");
    let queue = TopicPartition::new("dlq.s", 0);
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    let read = stage.log.read(&queue, Offset(0), limits).await.unwrap();
    let mut letters = Vec::new();
    for batch in &read.batches {
        for record in thm_codec::record_batch::records(&batch.batch.bytes).unwrap() {
            let record = record.unwrap();
            let header = |name: &str| {
                let value = record.headers.get(&format!("__connect.errors.{name}")).unwrap();
                String::from_utf8(value.to_vec()).unwrap()
            };
            assert_eq!(header("topic"), "t");
            assert_eq!(header("partition"), "0");
            assert_eq!(header("connector.name"), "s");
            assert_eq!(header("task.id"), "0");
            assert_eq!(header("stage"), "TASK_PUT");
            assert_eq!(header("class.name"), "test.FakeSinkConnector");
            letters.push((record.value.unwrap(), header("offset"), header("exception.message")));
        }
    }
    let letter = |value: &'static str, offset: &str| {
        (bytes::Bytes::from(value), offset.to_owned(), format!("field v: {value} is refused"))
    };
    assert_eq!(letters, [letter("b", "1"), letter("d", "3")]);
    assert_eq!(task(&herder, "s").dead_letters, 2);
    herder.stop().await;
}

/// A sink that is killed in a write that reached the target, in a runtime of its own.
async fn crash_in_write(
    stage: &Stage,
    target: &Arc<Target>,
    more: &'static [(&'static str, &'static str)],
    rows: usize,
) {
    let crashing = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    // Nothing is committed before the crash.
    let options = HerderOptions { commit_interval: Duration::from_secs(600), ..stage.options(registry(target)) };
    crashing.spawn(async move {
        let herder = Herder::new(options).unwrap();
        herder.start().await;
        create(&herder, more).await;
        std::future::pending::<()>().await;
    });
    until("written", || target.values().len() == rows && target.state.lock().faults.is_empty()).await;
    tokio::task::spawn_blocking(move || crashing.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
}

/// The attempts of a sink that is killed in its first write and started again after more records came.
async fn attempts_around_a_crash(frozen: bool) -> Vec<Attempt> {
    let (stage, target) = (Stage::new(), Target::new(10, frozen));
    stage.produce("t", &["a", "b"]).await;
    target.fault(Fault::WriteAndHang);
    crash_in_write(&stage, &target, &[], 2).await;
    stage.produce("t", &["c"]).await;
    let herder = stage.herder(registry(&target)).await;
    until("all written", || target.values() == ["a", "b", "c"]).await;
    herder.stop().await;
    target.attempts()
}

#[tokio::test]
async fn a_frozen_range_is_sent_again_exactly_as_it_was() {
    let attempts = attempts_around_a_crash(true).await;
    assert_eq!(attempts[0], attempts[1]);
    assert_eq!((attempts[1].first, attempts[1].last), (0, 1));
    // The test can fail: without frozen batches the second attempt takes the new record along.
    let attempts = attempts_around_a_crash(false).await;
    assert_ne!(attempts[0], attempts[1]);
    assert_eq!((attempts[1].first, attempts[1].last), (0, 2));
}

#[tokio::test]
async fn every_frozen_range_since_the_commit_is_sent_again() {
    let (stage, target) = (Stage::new(), Target::new(2, true));
    stage.produce("t", &["a"]).await;
    target.fault(Fault::Refuse(Vec::new()));
    target.fault(Fault::WriteAndHang);
    let late = async {
        until("the first written", || target.values() == ["a"]).await;
        stage.produce("t", &["b", "c", "d"]).await;
    };
    futures::future::join(crash_in_write(&stage, &target, &[], 3), late).await;
    let herder = stage.herder(registry(&target)).await;
    until("all written", || target.values() == ["a", "b", "c", "d"]).await;
    herder.stop().await;
    let ranges: Vec<(i64, i64)> = target.attempts().iter().map(|attempt| (attempt.first, attempt.last)).collect();
    assert_eq!(ranges, [(0, 0), (1, 2), (0, 0), (1, 2), (3, 3)]);
}

/// The ranges that come before and after a kill in the second write, nothing being committed by the clock.
async fn ranges_around_a_crash(commit_before_next: bool) -> Vec<(i64, i64)> {
    let (stage, target) = (Stage::new(), Target::new(1, true));
    target.state.lock().commit_before_next = commit_before_next;
    stage.produce("t", &["delete", "insert again"]).await;
    target.fault(Fault::Refuse(Vec::new()));
    target.fault(Fault::WriteAndHang);
    crash_in_write(&stage, &target, &[], 2).await;
    let herder = stage.herder(registry(&target)).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(2))).await;
    herder.stop().await;
    target.attempts().iter().map(|attempt| (attempt.first, attempt.last)).collect()
}

#[tokio::test]
async fn a_range_that_must_not_come_after_the_next_is_committed_before_it() {
    assert_eq!(ranges_around_a_crash(true).await, [(0, 0), (1, 1), (1, 1)]);
    // Without it the first range comes again after the second.
    assert_eq!(ranges_around_a_crash(false).await, [(0, 0), (1, 1), (0, 0), (1, 1)]);
}

#[tokio::test]
async fn what_went_to_the_dead_letter_queue_stays_out_of_its_range_after_a_crash() {
    let (stage, target) = (Stage::new(), Target::new(10, true));
    stage.produce("t", &["a", "b", "c"]).await;
    target.fault(Fault::Refuse(vec!["b"]));
    target.fault(Fault::WriteAndHang);
    crash_in_write(&stage, &target, &[("errors.tolerance", "all")], 2).await;
    let herder = stage.herder(registry(&target)).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(3))).await;
    herder.stop().await;
    let attempts = target.attempts();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[1].values, ["a", "c"]);
    assert_eq!(attempts[1], attempts[2]);
}

#[tokio::test]
async fn what_the_target_holds_wins_over_the_commit() {
    let (stage, target) = (Stage::new(), Target::new(10, true));
    stage.produce("t", &["a", "b", "c"]).await;
    target.state.lock().holds = vec![(TopicPartition::new("t", 0), Offset(2))];
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("delivered", || target.values() == ["c"]).await;
    herder.stop().await;
}

#[tokio::test]
async fn only_what_flush_names_is_committed_and_the_rest_comes_again() {
    let (stage, target) = (Stage::new(), Target::new(2, false));
    stage.produce("t", &["a", "b", "c", "d"]).await;
    target.state.lock().finished = Some(Offset(2));
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("written", || target.values().len() == 4).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(2))).await;
    assert_eq!(task(&herder, "s").lag(), 2);
    herder.stop().await;
    assert_eq!(stage.committed("connect-s", "t"), Some(Offset(2)));
    target.state.lock().finished = None;
    let herder = stage.herder(registry(&target)).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(4))).await;
    herder.stop().await;
    let ranges: Vec<(i64, i64)> = target.attempts().iter().map(|attempt| (attempt.first, attempt.last)).collect();
    assert_eq!(ranges, [(0, 1), (2, 3), (2, 3)]);
}

#[tokio::test]
async fn a_paused_sink_writes_nothing_and_goes_on_where_it_was() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("delivered", || target.values() == ["a"]).await;
    herder.pause("s").await.unwrap();
    task_is(&herder, "s", State::Paused).await;
    stage.produce("t", &["b"]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(target.values(), ["a"]);
    herder.resume("s").await.unwrap();
    until("delivered", || target.values() == ["a", "b"]).await;
    assert_eq!(target.attempts().len(), 2, "nothing came twice");
    herder.stop().await;
}

#[tokio::test]
async fn a_reset_is_refused_while_running_and_raises_the_generation() {
    let (stage, target) = (Stage::new(), Target::new(10, true));
    stage.produce("t", &["a", "b"]).await;
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(2))).await;
    assert_eq!(herder.reset_offsets("s").await.unwrap_err().status, 400);
    herder.stop_connector("s").await.unwrap();
    herder.reset_offsets("s").await.unwrap();
    herder.resume("s").await.unwrap();
    until("delivered again", || target.attempts().len() == 2).await;
    let attempts = target.attempts();
    assert_eq!((attempts[0].generation, attempts[1].generation), (Generation(0), Generation(1)));
    assert_eq!((attempts[1].first, attempts[1].last), (0, 1));
    herder.stop().await;
}

#[tokio::test]
async fn deleted_and_created_again_it_resumes() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("delivered", || target.values() == ["a"]).await;
    herder.delete("s").await.unwrap();
    stage.produce("t", &["b"]).await;
    create(&herder, &[]).await;
    until("delivered", || target.values() == ["a", "b"]).await;
    assert_eq!(target.attempts().len(), 2, "nothing came twice");
    herder.stop().await;
}

#[tokio::test]
async fn records_that_retention_removed_fail_the_task_by_their_range() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(1))).await;
    herder.stop_connector("s").await.unwrap();
    for values in [&["b", "c"][..], &["d"]] {
        stage.produce("t", values).await;
    }
    stage.log.cut(&TopicPartition::new("t", 0), Offset(3)).unwrap();
    herder.resume("s").await.unwrap();
    task_is(&herder, "s", State::Failed).await;
    let trace = task(&herder, "s").trace.unwrap();
    assert!(trace.contains("t-0 offsets 1 to 2"), "{trace}");
    assert_eq!(target.values(), ["a"]);
    // First starts begin at the log start, whatever was cut before.
    herder.stop_connector("s").await.unwrap();
    herder.reset_offsets("s").await.unwrap();
    herder.resume("s").await.unwrap();
    until("delivered", || target.values() == ["a", "d"]).await;
    herder.stop().await;
}

#[tokio::test]
async fn a_recreated_topic_is_read_from_its_start() {
    let (stage, target) = (Stage::new(), Target::new(10, true));
    stage.produce("t", &["a", "b"]).await;
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("committed", || stage.committed("connect-s", "t") == Some(Offset(2))).await;
    stage.log.delete_topic("t").await.unwrap();
    stage.produce("t", &["x", "y", "z"]).await;
    until("the new ones delivered", || target.values() == ["x", "y", "z"]).await;
    let attempts = target.attempts();
    assert_ne!(attempts[0].uuid, attempts.last().unwrap().uuid);
    herder.stop().await;
    // The same while it was not running.
    stage.log.delete_topic("t").await.unwrap();
    stage.produce("t", &["1", "2", "3", "4"]).await;
    let herder = stage.herder(registry(&target)).await;
    until("all of the third", || target.values() == ["1", "2", "3", "4"]).await;
    herder.stop().await;
}

#[tokio::test]
async fn one_sink_that_hangs_delays_no_other() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a"]).await;
    target.fault(Fault::WriteAndHang);
    let herder = stage.herder(registry(&target)).await;
    create(&herder, &[]).await;
    until("it hangs", || target.attempts().len() == 1).await;
    let other = sink(&[("consumer.override.group.id", "other-group")]);
    herder.create("other", other, InitialState::Running).await.unwrap();
    until("the other delivers", || stage.committed("other-group", "t") == Some(Offset(1))).await;
    assert_eq!(stage.committed("connect-s", "t").unwrap_or_default(), Offset(0));
    herder.stop().await;
}

#[tokio::test]
async fn all_partitions_of_all_matching_topics_are_read() {
    let (stage, target) = (Stage::new(), Target::new(1, false));
    stage.log.create_topic(&TopicSpec { partitions: 2, ..TopicSpec::new("many") }).await.unwrap();
    stage.produce_to("many", 0, &["a", "b"]).await;
    stage.produce_to("many", 1, &["c"]).await;
    let herder = stage.herder(registry(&target)).await;
    let mut config = sink(&[("topics.regex", "ma.*|late")]);
    config.remove("topics");
    herder.create("s", config, InitialState::Running).await.unwrap();
    until("delivered", || target.values() == ["a", "b", "c"]).await;
    stage.produce("late", &["l"]).await;
    until("the late topic too", || target.values().len() == 4).await;
    assert_eq!(task(&herder, "s").lags.len(), 3);
    herder.stop().await;
}
