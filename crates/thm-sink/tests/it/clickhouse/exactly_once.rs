//! A range that comes again changes nothing; what a crash leaves behind is put right by the same range.

use std::sync::Arc;

use arrow::array::{Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use thm_api::{
    ChangelogBatch, Generation, Lsn, Offset, Op, Position, RowKind, RowMeta, SinkBatch, SinkChunk, SinkPartition,
};

use super::engine::{Database, event};
use crate::support::{batch, foreign, record};

fn range(partition: &SinkPartition, first: i64, rows: i64) -> SinkBatch {
    let text = |id: i64| Some(event(id, "2025-08-23 05:40:00.123", "120"));
    let records: Vec<_> = (first..first + rows).map(|at| record(at, Op::Create, 0, at, text(at))).collect();
    batch(partition, &records)
}

const COUNT: &str = "SELECT count(), uniqExact(id) FROM {t}";

#[tokio::test]
async fn the_same_range_twice_is_there_once() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    task.write(range(&partition, 0, 1_500)).await.unwrap();
    assert_eq!(task.flush().await.unwrap(), [(partition.partition.clone(), Offset(1_500))]);
    task.write(range(&partition, 0, 1_500)).await.unwrap();
    task.write(range(&partition, 1_500, 10)).await.unwrap();
    assert_eq!(database.ask(COUNT).await, "1510\t1510");

    // A task after a crash: the worker froze the range, so it comes with the same records under the same token.
    let (mut again, partition) = database.opened().await;
    again.write(range(&partition, 1_500, 10)).await.unwrap();
    assert_eq!(database.ask(COUNT).await, "1510\t1510");
    assert_eq!(database.ask("SELECT count() FROM {t} FINAL").await, "1510");
}

#[tokio::test]
async fn without_the_window_the_same_range_would_be_there_twice() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    database.ask("ALTER TABLE {t} MODIFY SETTING non_replicated_deduplication_window = 0").await;
    task.write(range(&partition, 0, 10)).await.unwrap();
    task.write(range(&partition, 0, 10)).await.unwrap();
    assert_eq!(database.ask(COUNT).await, "20\t10");
    assert_eq!(database.ask("SELECT count() FROM {t} FINAL").await, "10", "right under FINAL even so");
}

#[tokio::test]
async fn another_generation_or_topic_is_another_insert() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    task.write(range(&partition, 0, 5)).await.unwrap();
    task.open(std::slice::from_ref(&partition), Generation(2)).await.unwrap();
    task.write(range(&partition, 0, 5)).await.unwrap();
    assert_eq!(database.ask(COUNT).await, "10\t5", "a reset group is delivered anew");
    let recreated = crate::support::partition(8);
    task.open(std::slice::from_ref(&recreated), Generation(2)).await.unwrap();
    task.write(range(&recreated, 0, 5)).await.unwrap();
    assert_eq!(database.ask(COUNT).await, "15\t5", "a recreated topic is another one");
    assert_eq!(database.ask("SELECT count() FROM {t} FINAL").await, "5");
}

#[tokio::test]
async fn records_without_a_key_are_plain_inserts() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let records = [
        foreign(0, 0, &event(1, "2025-08-23 05:40:00", "120")),
        foreign(1, 0, &event(2, "2025-08-23T05:40:01Z", "null")),
        foreign(2, 0, &event(1, "2025-08-23 05:40:02", "60")),
    ];
    task.write(batch(&partition, &records)).await.unwrap();
    let rows = database.ask("SELECT id, event_ts, length_seconds FROM {t} ORDER BY id").await;
    assert_eq!(rows, "1\t2025-08-23 05:40:02.000\t60\n2\t2025-08-23 05:40:01.000\t0");
}

/// Ten rows decoded as a job's output, id and length in Arrow, the rest as text.
fn decoded(partition: &SinkPartition) -> SinkBatch {
    let rows = 10;
    let texts = |text: &str| Arc::new(StringArray::from(vec![Some(text); rows]));
    let lengths: Vec<_> = (0..10).map(|row| (row % 3 != 0).then_some(row * 10)).collect();
    let amounts: Vec<_> = (0..10_i128).map(|row| (row % 2 == 0).then_some(row * 105)).collect();
    let decimal = |precision| {
        let array = Decimal128Array::from(amounts.clone()).with_precision_and_scale(precision, 2).unwrap();
        Arc::new(array)
    };
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..10))),
        ("content_id", texts("c")),
        ("user_id", texts("u")),
        ("event_type", texts("play")),
        ("event_ts", texts("2025-08-23 05:40:00.123")),
        ("device", texts("ios")),
        ("content_type", texts("video")),
        ("length_seconds", Arc::new(Int32Array::from(lengths.clone()))),
        ("engagement_seconds", decimal(10)),
        ("engagement_pct", decimal(5)),
        ("raw_payload", texts("{}")),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    assert!(fields.iter().any(|field| *field.data_type() == DataType::Int32));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let position = Position::new(Lsn(9), 1);
    let meta = |record| RowMeta { kind: RowKind::Insert, op: Op::Create, position, commit_us: 0, record };
    let columns = ChangelogBatch { rows, meta: (0..10).map(meta).collect() };
    let number =
        |value: Option<i128>| value.map_or("null".to_owned(), |value| format!("{}.{:02}", value / 100, value % 100));
    let text = |row: usize| {
        let length = lengths[row].map_or("null".to_owned(), |length| length.to_string());
        let amount = number(amounts[row]);
        format!(
            r#"{{"id":{row},"content_id":"c","user_id":"u","event_type":"play","event_ts":"2025-08-23 05:40:00.123","device":"ios","content_type":"video","length_seconds":{length},"engagement_seconds":{amount},"engagement_pct":{amount},"raw_payload":"{{}}"}}"#
        )
    };
    let records = (0..10).map(|at| record(100 + at, Op::Create, 0, at, Some(text(at as usize)))).collect::<Vec<_>>();
    // The range begins inside the log batch: two of its records are before it.
    let chunk =
        SinkChunk { base_offset: Offset(100), records: records[2..].to_vec().into(), columns: Some(Arc::new(columns)) };
    SinkBatch { partition: partition.clone(), first: Offset(102), last: Offset(109), chunks: vec![chunk] }
}

#[tokio::test]
async fn decoded_columns_give_the_rows_of_the_texts() {
    const ROWS: &str = "SELECT * FROM {t} ORDER BY id";
    let (cached, lagging) = (Database::contract().await, Database::contract().await);
    let (mut task, partition) = cached.opened().await;
    task.write(decoded(&partition)).await.unwrap();
    let (mut task, partition) = lagging.opened().await;
    let mut without = decoded(&partition);
    without.chunks[0].columns = None;
    task.write(without).await.unwrap();
    let rows = cached.ask(ROWS).await;
    assert_eq!(rows.lines().count(), 8);
    assert!(rows.contains("2025-08-23 05:40:00.123\tios\tvideo\t20\t2.1\t2.1"), "{rows}");
    assert_eq!(rows, lagging.ask(ROWS).await);
}

#[tokio::test]
async fn decoded_columns_of_another_shape_are_not_trusted() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let mut batch = decoded(&partition);
    batch.chunks[0].records.change(|records| {
        for (at, record) in records.iter_mut().enumerate() {
            record.value = Some(format!("{{\"op\":\"c\",\"id\":{}}}", at + 1_000).into());
        }
    });
    task.write(batch).await.unwrap();
    assert_eq!(database.ask("SELECT min(id), max(content_id) FROM {t}").await, "1000\t");
}
