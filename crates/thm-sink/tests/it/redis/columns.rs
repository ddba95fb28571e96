//! Rows of the tail cache and the JSON they were written as mean the same.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use thm_api::{ChangelogBatch, Lsn, Op, Position, RowKind, RowMeta};

use super::service::{Bench, RedisServer, WINDOW, points};
use crate::support;

#[tokio::test]
async fn decoded_rows_count_as_their_json_does() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    let now_ms = support::now_ms();
    let own = chrono::DateTime::from_timestamp_millis(now_ms).unwrap().format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    bench.event(Op::Create, now_ms, 1, "a", "play", "2025-08-23 05:40:00.000");
    bench.event(Op::Read, now_ms, 2, "b", "finish", &own);
    bench.delete(1);
    bench.event(Op::Create, now_ms, 3, "c", "click", "");
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 1, 3]))),
        ("content_id", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("c")]))),
        ("event_type", Arc::new(StringArray::from(vec![Some("play"), Some("finish"), None, Some("click")]))),
        ("event_ts", Arc::new(StringArray::from(vec![Some("2025-08-23 05:40:00.000"), Some(&own), None, None]))),
    ];
    let kinds = [RowKind::Insert, RowKind::Insert, RowKind::Delete, RowKind::Insert];
    let ops = [Op::Create, Op::Read, Op::Delete, Op::Create];
    let meta = |record: usize| RowMeta {
        kind: kinds[record],
        op: ops[record],
        position: Position::new(Lsn(1_000), record as u64 + 1),
        commit_us: now_ms * 1_000,
        record: record as u32,
    };
    let decoded =
        ChangelogBatch { rows: RecordBatch::try_from_iter(columns).unwrap(), meta: (0..4).map(meta).collect() };
    let decoded = Some(Arc::new(decoded));

    // The range begins inside the log batch; garbage in the JSON shows that nobody reads it.
    for part in [0..1, 1..4] {
        let mut batch = support::batch(&bench.partition, &bench.log[part]);
        batch.chunks[0].base_offset.0 = 0;
        batch.chunks[0].columns.clone_from(&decoded);
        batch.chunks[0].records.change(|records| {
            for record in records {
                record.value = record.value.as_ref().map(|_| "garbage".into());
            }
        });
        bench.task.write(batch).await.unwrap();
    }
    assert_eq!(bench.points().await, points(&[("b", 1.0), ("c", 0.2)]));
    bench.verify().await;
}
