//! Repetitions, late attempts and reinserts: each scenario once as it must end, and once without its mechanism.

use thm_api::{Generation, Op, SinkBatch, SinkPartition, SinkTask};

use super::engine::{Database, event};
use crate::support::{batch, record};

const FIRST: &str = "2025-08-23 05:40:00.123";
const MOVED: &str = "2025-08-24 06:00:00.456";
const BACK: &str = "2025-08-25 07:00:00.000";
/// What a user sees: one row for each event.
const STATE: &str = "SELECT id, event_ts, length_seconds FROM {t} FINAL ORDER BY id, event_ts";
const AT_FIRST: &str = "1\t2025-08-23 05:40:00.123\t10";
const AT_MOVED: &str = "1\t2025-08-24 06:00:00.456\t11";

/// A range of one record about event 1; its commit is later than that of every smaller offset.
fn change(partition: &SinkPartition, offset: i64, op: Op, event_ts: Option<(&str, &str)>) -> SinkBatch {
    let value = event_ts.map(|(event_ts, length)| event(1, event_ts, length));
    let mut record = record(offset, op, 0, 1, value);
    record.origin.as_mut().unwrap().position = thm_api::Position::new(thm_api::Lsn(1_000 + offset as u64), 1);
    batch(partition, &[record])
}

async fn write(task: &mut Box<dyn SinkTask>, ranges: &[&SinkBatch]) {
    for range in ranges {
        task.write((*range).clone()).await.unwrap();
    }
}

/// The state that ranges leave in the user's table with failpoints, and in the table that we make (with none).
async fn both_tables(ranges: impl Fn(&SinkPartition) -> Vec<SinkBatch>) -> [String; 2] {
    let users = Database::contract().await;
    let (mut task, partition) = users.opened().await;
    write(&mut task, &ranges(&partition).iter().collect::<Vec<_>>()).await;
    let ours = Database::empty().await;
    let mut task = ours.sink(&[("auto.create", "true")]).await;
    task.open(std::slice::from_ref(&ours.partition), Generation(1)).await.unwrap();
    write(&mut task, &ranges(&ours.partition).iter().collect::<Vec<_>>()).await;
    [users.ask(STATE).await, ours.ask(STATE).await]
}

async fn without(failpoint: &str, ranges: impl Fn(&SinkPartition) -> Vec<SinkBatch>) -> String {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened_without(failpoint).await;
    write(&mut task, &ranges(&partition).iter().collect::<Vec<_>>()).await;
    database.ask(STATE).await
}

#[tokio::test]
async fn an_event_ts_that_moves_leaves_one_row() {
    let ranges = |partition: &SinkPartition| {
        vec![
            change(partition, 0, Op::Create, Some((FIRST, "10"))),
            change(partition, 1, Op::Update, Some((MOVED, "11"))),
        ]
    };
    assert_eq!(both_tables(ranges).await, [AT_MOVED, AT_MOVED]);
    assert_eq!(without("clickhouse.no-delete", ranges).await, format!("{AT_FIRST}\n{AT_MOVED}"));
}

#[tokio::test]
async fn a_repeated_update_keeps_the_row_that_it_put_there() {
    let ranges = |partition: &SinkPartition| {
        let create = change(partition, 0, Op::Create, Some((FIRST, "10")));
        let update = change(partition, 1, Op::Update, Some((MOVED, "11")));
        vec![create, update.clone(), update]
    };
    assert_eq!(both_tables(ranges).await, [AT_MOVED, AT_MOVED]);
    assert_eq!(without("clickhouse.delete-before-insert", ranges).await, "");
}

/// A first attempt that was given up, stood in the server's queue, and is done after a later range.
#[tokio::test]
async fn a_late_first_attempt_of_an_insert_brings_no_row_back() {
    let ranges = |partition: &SinkPartition| {
        let create = change(partition, 0, Op::Create, Some((FIRST, "10")));
        let delete = change(partition, 1, Op::Delete, None);
        vec![create.clone(), delete, create]
    };
    assert_eq!(both_tables(ranges).await, ["", ""]);
    assert_eq!(without("clickhouse.no-token", ranges).await, AT_FIRST);
}

#[tokio::test]
async fn a_repeated_insert_after_its_delete_is_no_second_life() {
    let ranges = |partition: &SinkPartition| {
        let both = [change(partition, 0, Op::Create, Some((FIRST, "10"))), change(partition, 1, Op::Delete, None)];
        [both.clone(), both].concat()
    };
    assert_eq!(both_tables(ranges).await, ["", ""]);
    assert_eq!(without("clickhouse.no-delete", ranges).await, AT_FIRST);
}

#[tokio::test]
async fn a_row_that_came_back_after_its_delete_stays_through_repetitions() {
    let ranges = |partition: &SinkPartition| {
        let again = change(partition, 2, Op::Create, Some((BACK, "12")));
        vec![
            change(partition, 0, Op::Create, Some((FIRST, "10"))),
            change(partition, 1, Op::Delete, None),
            again.clone(),
            again,
        ]
    };
    let back = "1\t2025-08-25 07:00:00.000\t12";
    assert_eq!(both_tables(ranges).await, [back, back]);
    assert_eq!(without("clickhouse.no-delete", ranges).await, format!("{AT_FIRST}\n{back}"));
}

/// Why a range with deletes is committed before the next one is written: repeated after it, it takes that one's rows,
/// and their insert is deduplicated.
#[tokio::test]
async fn a_range_with_deletes_asks_for_its_commit_before_the_next_one() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let create = change(&partition, 0, Op::Create, Some((FIRST, "10")));
    let delete = change(&partition, 1, Op::Delete, None);
    let again = change(&partition, 2, Op::Create, Some((BACK, "12")));
    write(&mut task, &[&create]).await;
    assert!(!task.commit_before_next(), "an insert alone may be repeated at any time");
    write(&mut task, &[&delete]).await;
    assert!(task.commit_before_next());
    write(&mut task, &[&again]).await;
    assert!(!task.commit_before_next());
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "1");
    // What would come after a crash without that commit.
    write(&mut task, &[&delete, &again]).await;
    assert_eq!(database.ask(STATE).await, "", "the row is lost");

    let ours = Database::empty().await;
    let mut task = ours.sink(&[("auto.create", "true")]).await;
    task.open(std::slice::from_ref(&ours.partition), Generation(1)).await.unwrap();
    let create = change(&ours.partition, 0, Op::Create, Some((FIRST, "10")));
    let delete = change(&ours.partition, 1, Op::Delete, None);
    write(&mut task, &[&create, &delete]).await;
    assert!(!task.commit_before_next(), "there a deletion is an insert");
}

#[tokio::test]
async fn equal_offsets_of_two_partitions_are_two_inserts() {
    let database = Database::contract().await;
    let (mut task, first) = database.opened().await;
    let mut second = first.clone();
    second.partition.partition = 1;
    task.open(&[first.clone(), second.clone()], Generation(1)).await.unwrap();
    let range = |partition: &SinkPartition, id: i64| {
        batch(partition, &[record(0, Op::Create, 0, id, Some(event(id, FIRST, "10")))])
    };
    write(&mut task, &[&range(&first, 1), &range(&second, 2), &range(&first, 1), &range(&second, 2)]).await;
    assert_eq!(database.ask("SELECT count(), uniqExact(id) FROM {t}").await, "2\t2");
}

/// The log is made anew and its offsets begin at 0 again, while ClickHouse remembers the tokens of the old one.
#[tokio::test]
async fn a_wiped_log_is_delivered_to_an_old_table() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    write(&mut task, &[&change(&partition, 0, Op::Create, Some((FIRST, "10")))]).await;
    let anew = SinkPartition { topic_uuid: uuid::Uuid::from_u128(99), ..partition };
    let (mut task, _) = database.opened().await;
    task.open(std::slice::from_ref(&anew), Generation(1)).await.unwrap();
    write(&mut task, &[&change(&anew, 0, Op::Read, Some((FIRST, "77")))]).await;
    assert_eq!(database.ask(STATE).await, "1\t2025-08-23 05:40:00.123\t77");
}

#[tokio::test]
async fn an_unknown_failpoint_is_named() {
    let options = crate::support::config(&[("hostname", "127.0.0.1"), ("ssl", "false"), ("topics", "t")]);
    let context = crate::support::context_without(&std::sync::Arc::default(), options, "clickhouse.no-luck");
    let error = thm_api::Connector::task(&thm_sink::ClickHouseConnector, context).err().unwrap();
    assert_eq!(error.object(), "clickhouse.no-luck");
}
