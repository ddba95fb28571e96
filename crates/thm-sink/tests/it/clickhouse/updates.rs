//! Updates and deletes: one row per event under FINAL, its last state, whatever moved and whatever is repeated.

use thm_api::{Generation, Op};

use super::engine::{Database, event, query};
use crate::support::{batch, foreign, record};

const FIRST: &str = "2025-08-23 05:40:00.123";
const MOVED: &str = "2025-08-24 06:00:00.456";
const STATE: &str = "SELECT id, event_ts, length_seconds FROM {t} FINAL ORDER BY id";

fn row(id: i64, event_ts: &str, length: &str) -> Option<String> {
    Some(event(id, event_ts, length))
}

#[tokio::test]
async fn an_update_that_moves_the_sorting_key_removes_the_old_row() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let inserts = [record(0, Op::Create, 0, 1, row(1, FIRST, "10")), record(1, Op::Create, 0, 2, row(2, FIRST, "20"))];
    task.write(batch(&partition, &inserts)).await.unwrap();
    let update = batch(&partition, &[record(2, Op::Update, 0, 1, row(1, MOVED, "11"))]);
    task.write(update.clone()).await.unwrap();
    let expected = "1\t2025-08-24 06:00:00.456\t11\n2\t2025-08-23 05:40:00.123\t20";
    assert_eq!(database.ask(STATE).await, expected);

    // After a crash the range comes again: its insert is deduplicated, and the delete must spare the row it put there.
    task.write(update).await.unwrap();
    assert_eq!(database.ask(STATE).await, expected);
}

#[tokio::test]
async fn a_delete_before_the_repeated_insert_would_lose_the_row() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[record(0, Op::Create, 0, 1, row(1, FIRST, "10"))])).await.unwrap();
    let update = batch(&partition, &[record(1, Op::Update, 0, 1, row(1, MOVED, "11"))]);
    task.write(update.clone()).await.unwrap();
    // The wrong order, by hand: delete the key, then send the range again.
    database.ask("DELETE FROM {t} WHERE id = 1").await;
    task.write(update).await.unwrap();
    assert_eq!(database.ask(STATE).await, "", "the token keeps the row from coming back");
}

#[tokio::test]
async fn an_update_in_place_replaces_the_row() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[record(0, Op::Create, 0, 1, row(1, FIRST, "10"))])).await.unwrap();
    task.write(batch(&partition, &[record(1, Op::Update, 0, 1, row(1, FIRST, "99"))])).await.unwrap();
    assert_eq!(database.ask(STATE).await, "1\t2025-08-23 05:40:00.123\t99");
}

#[tokio::test]
async fn a_range_is_folded_to_the_last_state_of_each_key() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let records = [
        record(0, Op::Create, 0, 1, row(1, FIRST, "10")),
        record(1, Op::Create, 0, 2, row(2, FIRST, "20")),
        record(2, Op::Update, 0, 1, row(1, MOVED, "11")),
        record(3, Op::Delete, 0, 2, None),
        record(4, Op::Create, 0, 3, row(3, FIRST, "30")),
        record(5, Op::Delete, 0, 3, None),
        record(6, Op::Create, 0, 3, row(3, MOVED, "31")),
        // An update that no longer passes the job's filter is a tombstone too.
        record(7, Op::Create, 0, 4, row(4, FIRST, "40")),
        record(8, Op::Update, 0, 4, None),
    ];
    let range = batch(&partition, &records);
    for _ in 0..2 {
        task.write(range.clone()).await.unwrap();
        assert_eq!(database.ask("SELECT count() FROM {t}").await, "2");
        assert_eq!(database.ask(STATE).await, "1\t2025-08-24 06:00:00.456\t11\n3\t2025-08-24 06:00:00.456\t31");
    }
}

#[tokio::test]
async fn a_row_inserted_again_after_its_delete_stays() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[record(0, Op::Create, 0, 1, row(1, FIRST, "10"))])).await.unwrap();
    let delete = batch(&partition, &[record(1, Op::Delete, 0, 1, None)]);
    task.write(delete.clone()).await.unwrap();
    task.write(delete).await.unwrap();
    assert_eq!(database.ask(STATE).await, "");
    let again = batch(&partition, &[record(2, Op::Create, 0, 1, row(1, FIRST, "10"))]);
    task.write(again.clone()).await.unwrap();
    task.write(again).await.unwrap();
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "1");
    assert_eq!(database.ask(STATE).await, "1\t2025-08-23 05:40:00.123\t10");
}

#[tokio::test]
async fn a_delete_wider_than_one_statement() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let create = |at: i64| record(at, Op::Create, 0, at, row(at, FIRST, "10"));
    task.write(batch(&partition, &(0..12_000).map(create).collect::<Vec<_>>())).await.unwrap();
    let end = |at: i64| match at % 2 {
        0 => record(12_000 + at, Op::Delete, 0, at, None),
        _ => record(12_000 + at, Op::Update, 0, at, row(at, MOVED, "11")),
    };
    task.write(batch(&partition, &(0..12_000).map(end).collect::<Vec<_>>())).await.unwrap();
    assert_eq!(database.ask("SELECT count(), sum(length_seconds), min(id % 2) FROM {t}").await, "6000\t66000\t1");
}

#[tokio::test]
async fn inserts_alone_send_no_delete() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let mut records: Vec<_> = (0..5).map(|at| record(at, Op::Create, 0, at, row(at, FIRST, "10"))).collect();
    records.push(record(5, Op::Read, 0, 5, row(5, FIRST, "10")));
    records.push(foreign(6, 0, &event(6, FIRST, "10")));
    task.write(batch(&partition, &records)).await.unwrap();
    let sql = format!("SELECT count() FROM system.mutations WHERE database = '{}'", database.name);
    assert_eq!(query(&sql).await, "0");
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "7");
}

#[tokio::test]
async fn foreign_tombstones_delete_by_key_or_are_passed_over() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let rows = [foreign(0, 0, &event(1, FIRST, "10")), foreign(1, 0, &event(2, FIRST, "20"))];
    task.write(batch(&partition, &rows)).await.unwrap();
    let mut by_key = foreign(2, 0, "");
    by_key.key = Some("{\"id\":1}".into());
    let mut nameless = foreign(3, 0, "null");
    nameless.key = Some("\"k1\"".into());
    task.write(batch(&partition, &[by_key, nameless])).await.unwrap();
    assert_eq!(database.ask("SELECT id FROM {t}").await, "2");
}

#[tokio::test]
async fn the_table_we_create_needs_no_delete() {
    let database = Database::empty().await;
    let mut task = database.sink(&[("auto.create", "true")]).await;
    let partition = database.partition.clone();
    task.open(std::slice::from_ref(&partition), Generation(1)).await.unwrap();
    let at = |offset: i64, op, lsn: u64, id: i64, value: Option<String>| {
        let mut record = record(offset, op, 0, id, value);
        record.origin.as_mut().unwrap().position = thm_api::Position::new(thm_api::Lsn(lsn), 1);
        record
    };
    // A deletion of what was never there needs no table.
    task.write(batch(&partition, &[at(0, Op::Delete, 9, 1, None)])).await.unwrap();
    assert_eq!(task.flush().await.unwrap(), [(partition.partition.clone(), thm_api::Offset(1))]);
    let inserts = [at(0, Op::Create, 10, 1, row(1, FIRST, "10")), at(1, Op::Create, 10, 2, row(2, FIRST, "20"))];
    task.write(batch(&partition, &inserts)).await.unwrap();
    let changes = [at(2, Op::Update, 20, 1, row(1, MOVED, "11")), at(3, Op::Delete, 20, 2, None)];
    task.write(batch(&partition, &changes)).await.unwrap();
    assert_eq!(database.ask(STATE).await, "1\t2025-08-24 06:00:00.456\t11");
    let engine = format!("SELECT engine_full FROM system.tables WHERE database = '{}'", database.name);
    assert!(query(&engine).await.starts_with("ReplacingMergeTree(version, is_deleted) ORDER BY id"));
    let sql = format!("SELECT count() FROM system.mutations WHERE database = '{}'", database.name);
    assert_eq!(query(&sql).await, "0");

    // A late repetition of an old change, after its token was forgotten, cannot win.
    database.ask("ALTER TABLE {t} MODIFY SETTING non_replicated_deduplication_window = 0").await;
    task.write(batch(&partition, &inserts)).await.unwrap();
    assert_eq!(database.ask(STATE).await, "1\t2025-08-24 06:00:00.456\t11");
}

#[tokio::test]
async fn an_update_on_a_table_that_cannot_replace_stops() {
    let database = Database::new("MergeTree ORDER BY (event_ts, id)").await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[record(0, Op::Create, 0, 1, row(1, FIRST, "10"))])).await.unwrap();
    let error = task.write(batch(&partition, &[record(1, Op::Update, 0, 1, row(1, FIRST, "11"))])).await.unwrap_err();
    assert_eq!(error.kind(), thm_api::ErrorKind::SinkMismatch);
    assert!(error.hint().contains("ReplacingMergeTree"), "{}", error.hint());
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "1", "nothing was written");
}
