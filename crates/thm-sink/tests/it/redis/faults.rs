//! Lost answers, lost data, wrong credentials: the board stays the sum of the log.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::AsyncCommands;
use thm_api::{Connector, ErrorKind, Generation, Offset, Op, Policy, SinkPartition, TopicPartition};
use thm_sink::LeaderboardConnector;

use super::service::{Bench, LossyProxy, RedisServer, WINDOW, points};
use crate::support;

#[tokio::test]
async fn a_batch_whose_answer_got_lost_counts_once() {
    let server = RedisServer::start(&[]).await;
    let proxy = LossyProxy::start(server.port).await;
    let mut bench = Bench::open(proxy.port, WINDOW).await;
    for round in 0..5 {
        bench.insert(round, "a", "play");
        // Without an id a repetition cannot be told by the event itself: the fence alone must know.
        bench.log.push(support::foreign(
            bench.log.len() as i64,
            support::now_ms(),
            r#"{"content_id":"b","event_type":"click"}"#,
        ));
        proxy.lose.store(1, Ordering::SeqCst);
        let error = bench.write().await.unwrap_err();
        assert_eq!(error.kind().policy(), Policy::Retry);
        // The worker either repeats the write or opens first; both must do.
        if round % 2 == 0 {
            bench.write().await.unwrap();
        } else {
            bench.write_as_worker().await;
        }
    }
    bench.crash(Generation(1)).await.unwrap();
    assert_eq!(bench.next, bench.log.len());
    assert_eq!(bench.points().await, points(&[("a", 5.0), ("b", 1.0)]));
    bench.verify().await;
}

#[tokio::test]
async fn an_expiry_whose_answer_got_lost_is_done_once() {
    let server = RedisServer::start(&[]).await;
    let proxy = LossyProxy::start(server.port).await;
    let mut bench = Bench::open(proxy.port, "2000").await;
    let began = support::now_ms();
    bench.event(Op::Create, began, 1, "a", "play", "");
    bench.event(Op::Create, began + 60_000, 2, "a", "play", "");
    bench.write().await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    proxy.lose.store(1, Ordering::SeqCst);
    assert!(bench.task.tick().await.is_err());
    assert_eq!(bench.points().await, points(&[("a", 1.0)]));
    bench.task.tick().await.unwrap();
    bench.verify().await;
    // And the next write goes through without a new start.
    bench.insert(3, "a", "click");
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 1.2)]));
}

#[tokio::test]
async fn an_emptied_redis_is_rebuilt_from_the_log() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    for id in 0..100 {
        bench.insert(id, "a", "click");
    }
    bench.write().await.unwrap();
    let mut connection = server.connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    // Seen by a write, and by the clock alone.
    bench.insert(100, "b", "play");
    assert_eq!(bench.write().await.unwrap_err().kind().policy(), Policy::Retry);
    bench.write_as_worker().await;
    assert_eq!(bench.points().await, points(&[("a", 20.0), ("b", 1.0)]));
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(bench.task.tick().await.unwrap_err().kind().policy(), Policy::Retry);
    bench.reopen(Generation(1)).await.unwrap();
    assert_eq!(bench.next, 0);
    // A crash between the new start and the first write changes nothing.
    bench.crash(Generation(1)).await.unwrap();
    assert_eq!(bench.next, 0);
    bench.write_as_worker().await;
    assert_eq!(bench.points().await, points(&[("a", 20.0), ("b", 1.0)]));
    bench.verify().await;
}

#[tokio::test]
async fn a_key_that_is_gone_is_noticed() {
    let server = RedisServer::start(&[]).await;
    let mut connection = server.connection().await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    for key in ["thm:top:10m", "{thm:top:10m}:events", "{thm:top:10m}:fence"] {
        let _: () = connection.del(key).await.unwrap();
        bench.insert(2, "a", "click");
        assert_eq!(bench.write().await.unwrap_err().kind().policy(), Policy::Retry);
        bench.write_as_worker().await;
        assert_eq!(bench.points().await, points(&[("a", 1.2)]), "{key}");
    }
}

#[tokio::test]
async fn an_older_fence_is_taken_up_where_it_stands() {
    let server = RedisServer::start(&[]).await;
    let mut connection = server.connection().await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    let mut dump = Vec::new();
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    for key in keys {
        let bytes: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.unwrap();
        dump.push((key, bytes));
    }
    bench.insert(2, "a", "click");
    bench.insert(3, "b", "click");
    bench.write().await.unwrap();
    // A failover to a replica that had not seen the last batch.
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    for (key, bytes) in dump {
        let _: () = redis::cmd("RESTORE").arg(key).arg(0).arg(bytes).query_async(&mut connection).await.unwrap();
    }
    bench.insert(4, "b", "play");
    assert_eq!(bench.write().await.unwrap_err().kind().policy(), Policy::Retry);
    bench.reopen(Generation(1)).await.unwrap();
    assert_eq!(bench.next, 1);
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 1.2), ("b", 1.2)]));
    bench.verify().await;
}

#[tokio::test]
async fn a_new_generation_starts_again_and_the_old_one_stops() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    let mut reset = support::sink(&LeaderboardConnector, support::context(&bench.state, bench.config.clone()));
    let offsets = reset.open(&[bench.partition.clone()], Generation(2)).await.unwrap();
    assert_eq!(offsets, [], "the worker's offset counts after a reset");
    let log = support::batch(&bench.partition, &bench.log);
    reset.write(log).await.unwrap();
    bench.insert(2, "a", "play");
    assert_eq!(bench.write().await.unwrap_err().kind().policy(), Policy::Retry);
    assert_eq!(bench.reopen(Generation(1)).await.unwrap_err().kind(), ErrorKind::StaleGeneration);
    assert_eq!(bench.points().await, points(&[("a", 1.0)]));
}

#[tokio::test]
async fn two_processes_of_one_connector_never_count_twice() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    let mut twin = support::sink(&LeaderboardConnector, support::context(&bench.state, bench.config.clone()));
    twin.open(&[bench.partition.clone()], Generation(1)).await.unwrap();
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    twin.write(support::batch(&bench.partition, &bench.log)).await.unwrap();
    bench.insert(2, "a", "play");
    bench.insert(3, "a", "play");
    // The twin cuts its batches elsewhere.
    twin.write(support::batch(&bench.partition, &bench.log[1..2])).await.unwrap();
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 3.0)]));
    bench.verify().await;
    // An attempt that was stuck since before the last change must not bring back what is gone.
    let stuck = support::batch(&bench.partition, &bench.log[2..]);
    bench.delete(3);
    bench.write().await.unwrap();
    twin.write(stuck).await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 2.0)]));
    bench.verify().await;
}

#[tokio::test]
async fn what_an_operator_must_mend_is_told_apart() {
    let server = RedisServer::start(&["--requirepass", "right"]).await;
    let port = server.port.to_string();
    let check = async |options: &[(&str, &str)]| {
        let state = std::sync::Arc::default();
        let context = support::context(&state, support::config(options));
        LeaderboardConnector.check(&context).await.map_err(|error| {
            assert!(!error.to_string().contains("right") && !error.to_string().contains("hush"), "{error}");
            error.kind()
        })
    };
    let base = [("redis.host", "127.0.0.1"), ("redis.port", &*port)];
    assert_eq!(check(&base).await, Err(ErrorKind::SinkDenied));
    assert_eq!(check(&[base[0], base[1], ("redis.password", "hush")]).await, Err(ErrorKind::SinkDenied));
    assert_eq!(check(&[base[0], base[1], ("redis.password", "right")]).await, Ok(()));
    assert_eq!(
        check(&[base[0], base[1], ("redis.password", "right"), ("redis.db", "99")]).await,
        Err(ErrorKind::SinkMismatch)
    );
    let free = support::free_port().to_string();
    assert_eq!(check(&[base[0], ("redis.port", &free)]).await, Err(ErrorKind::SinkUnreachable));

    let client = redis::Client::open(format!("redis://:right@127.0.0.1:{port}")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = connection.set("thm:top:10m", "somebody's").await.unwrap();
    assert_eq!(check(&[base[0], base[1], ("redis.password", "right")]).await, Err(ErrorKind::SinkMismatch));
    let kept: String = connection.get("thm:top:10m").await.unwrap();
    assert_eq!(kept, "somebody's");
}

#[tokio::test]
async fn a_key_that_turns_into_something_else_stops_the_task() {
    let server = RedisServer::start(&[]).await;
    let mut connection = server.connection().await;
    let mut bench = Bench::open(server.port, WINDOW).await;
    let _: () = connection.set("thm:top:10m", "somebody's").await.unwrap();
    bench.insert(1, "a", "play");
    assert_eq!(bench.write().await.unwrap_err().kind(), ErrorKind::SinkMismatch);
    assert_eq!(bench.reopen(Generation(1)).await.unwrap_err().kind(), ErrorKind::SinkMismatch);
}

#[tokio::test]
async fn every_partition_has_its_own_place_in_the_fence() {
    let server = RedisServer::start(&[]).await;
    let bench = Bench::open(server.port, WINDOW).await;
    let second = SinkPartition { partition: TopicPartition::new("by.hand", 3), topic_uuid: uuid::Uuid::from_u128(9) };
    let both = [bench.partition.clone(), second.clone()];
    let mut options = bench.config.values().clone();
    options.insert("topics".to_owned(), "thm.enriched.events,by.hand".to_owned());
    let config = thm_api::ConnectorConfig::new(options);
    let open = async || {
        let mut task = support::sink(&LeaderboardConnector, support::context(&bench.state, config.clone()));
        let offsets = task.open(&both, Generation(1)).await.unwrap();
        (task, offsets)
    };
    // The same id in two topics is two events.
    let event = r#"{"id":1,"content_id":"a","event_type":"play"}"#;
    let (mut task, offsets) = open().await;
    assert_eq!(offsets, []);
    task.write(support::batch(&both[0], &[support::foreign(0, support::now_ms(), event)])).await.unwrap();
    task.write(support::batch(&both[1], &[support::foreign(40, support::now_ms(), event)])).await.unwrap();
    assert_eq!(bench.points().await, points(&[("a", 2.0)]));
    let (mut task, mut offsets) = open().await;
    offsets.sort();
    let next = [(second.partition.clone(), Offset(41)), (both[0].partition.clone(), Offset(1))];
    assert_eq!(offsets, next);
    // Emptied, each goes back to where it began.
    let mut connection = server.connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let offsets = task.open(&both, Generation(1)).await.unwrap();
    assert_eq!(offsets, [(both[0].partition.clone(), Offset(0)), (second.partition, Offset(40))]);
}
