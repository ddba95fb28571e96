//! What counts, and when it no longer does.

use std::time::Duration;

use redis::AsyncCommands;
use thm_api::{ErrorKind, Op};

use super::service::{Bench, RedisServer, WINDOW, points};
use crate::support;

#[tokio::test]
async fn inserts_updates_and_deletes_add_up() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    for id in 0..10 {
        bench.insert(id, "a", "click");
    }
    bench.insert(10, "b", "play");
    bench.insert(11, "c", "pause");
    bench.insert(12, "d", "finish");
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 2.0), ("b", 1.0), ("d", 1.0)]));

    // An update takes the old points back, also to another content; a delete takes all.
    bench.event(Op::Update, support::now_ms(), 0, "a", "play", "2025-01-01 00:00:00");
    bench.event(Op::Update, support::now_ms(), 10, "c", "finish", "2025-01-01 00:00:00");
    bench.delete(12);
    bench.delete(999);
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 2.8), ("c", 1.0)]));
    bench.verify().await;

    // Floating point would leave a crumb here.
    for id in 0..10 {
        bench.delete(id);
    }
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("c", 1.0)]));
    bench.verify().await;
}

#[tokio::test]
async fn the_moment_is_that_of_the_first_record() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    let (now, old) = (support::now_ms(), support::now_ms() - 3_600_000);
    let at = |ms: i64| chrono::DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    // Rows of a snapshot count by their own time, streamed ones by their record's.
    bench.event(Op::Read, now, 1, "snapshot-old", "play", &at(old));
    bench.event(Op::Read, now, 2, "snapshot-new", "play", &at(now - 1_000));
    bench.event(Op::Create, now, 3, "late-entry", "play", &at(old));
    bench.event(Op::Create, old, 4, "replayed", "play", &at(now));
    // An update of what is long out of the window does not bring it back.
    bench.event(Op::Update, now, 1, "snapshot-old", "finish", &at(old));
    bench.event(Op::Update, now, 77, "unknown", "finish", &at(now));
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("late-entry", 1.0), ("snapshot-new", 1.0)]));
    bench.verify().await;
}

#[tokio::test]
async fn records_by_hand_count_once_per_id() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    let sample = r#"{"id":900001,"content_id":"x","event_type":"play","event_ts":"2025-08-23 05:40:00.000"}"#;
    let nameless = r#"{"content_id":"y","event_type":"click"}"#;
    for value in [sample, nameless, sample, nameless, r#"{"id":1,"content_id":null,"event_type":"play"}"#] {
        bench.log.push(support::foreign(bench.log.len() as i64, support::now_ms(), value));
    }
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("x", 1.0), ("y", 0.4)]));
    bench.verify().await;
}

#[tokio::test]
async fn the_window_slides_without_events() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, "2000").await;
    let began = support::now_ms();
    bench.event(Op::Create, began, 1, "a", "play", "");
    bench.event(Op::Create, began + 1_500, 2, "a", "click", "");
    bench.event(Op::Create, began + 1_500, 3, "b", "click", "");
    // Moved to another second: its place among those that expire first must not take it along.
    bench.log.push(support::foreign(3, began, r#"{"id":4,"content_id":"c","event_type":"play"}"#));
    bench.log.push(support::foreign(4, began + 1_500, r#"{"id":4,"content_id":"c","event_type":"play"}"#));
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 1.2), ("b", 0.2), ("c", 1.0)]));
    let first_out = (began.div_euclid(1_000) * 1_000) + 2_000;
    tokio::time::sleep(Duration::from_millis((first_out - support::now_ms()).max(0) as u64 + 50)).await;
    bench.task.tick().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 0.2), ("b", 0.2), ("c", 1.0)]));
    bench.verify().await;
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    bench.task.tick().await.unwrap();
    bench.task.tick().await.unwrap();
    assert_eq!(bench.points().await, points(&[]));
    let fence = bench.board().await.fence.unwrap();
    assert_eq!((fence.events, fence.members), (0, 0));
    let mut connection = server.connection().await;
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    assert_eq!(keys, ["{thm:top:10m}:fence"]);
}

#[tokio::test]
async fn a_board_that_nobody_slides_goes_away() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, "1000").await;
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    let mut connection = server.connection().await;
    for key in ["thm:top:10m", "{thm:top:10m}:fence", "{thm:top:10m}:events", "{thm:top:10m}:sums"] {
        let life_ms: i64 = connection.pttl(key).await.unwrap();
        assert!(life_ms > 0, "{key}");
    }
}

#[tokio::test]
async fn what_is_no_event_is_rejected_and_nothing_is_written() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    bench.insert(1, "a", "play");
    for value in ["[1]", "{", r#"{"id":1,"event_type":"play"}"#, r#"{"id":1,"content_id":"a"}"#] {
        bench.log.push(support::foreign(bench.log.len() as i64, support::now_ms(), value));
    }
    let error = bench.write().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordRejected);
    let rejected: Vec<i64> = error.rejected().iter().map(|record| record.offset.0).collect();
    assert_eq!(rejected, [1, 2, 3, 4]);
    assert!(error.rejected()[2].reason.contains("content_id"), "{}", error.rejected()[2].reason);
    assert_eq!(bench.points().await, points(&[]));
    // The same range without them.
    let mut batch = support::batch(&bench.partition, &bench.log);
    batch.chunks[0].records.change(|records| records.truncate(1));
    bench.task.write(batch).await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 1.0)]));
}
