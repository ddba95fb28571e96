//! Each mechanism of the leaderboard switched off: the board is then not what the log says, and the check sees it.

use thm_api::{Generation, Op};

use super::service::{Bench, RedisServer, WINDOW, points};
use crate::support;

async fn flush_all(server: &RedisServer) {
    let _: () = redis::cmd("FLUSHALL").query_async(&mut server.connection().await).await.unwrap();
}

#[tokio::test]
async fn without_the_fence_an_emptied_redis_is_gone_on_with() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open_without(server.port, WINDOW, "redis.no-fence").await;
    bench.insert(1, "a", "play");
    bench.write().await.unwrap();
    bench.verify().await;
    flush_all(&server).await;
    bench.insert(2, "b", "click");
    bench.write().await.unwrap();
    assert_eq!(bench.points().await, points(&[("b", 0.2)]));
    bench.verify_wrong().await;
}

#[tokio::test]
async fn without_the_fence_a_stuck_attempt_brings_back_what_is_gone() {
    for (failpoints, right) in [("", true), ("redis.no-fence", false)] {
        let server = RedisServer::start(&[]).await;
        let mut bench = Bench::open_without(server.port, WINDOW, failpoints).await;
        bench.insert(1, "a", "play");
        let stuck = support::batch(&bench.partition, &bench.log);
        bench.write().await.unwrap();
        bench.delete(1);
        bench.write().await.unwrap();
        assert_eq!(bench.points().await, points(&[]));
        bench.task.write(stuck).await.unwrap();
        assert_eq!(bench.points().await == points(&[]), right, "{failpoints}");
    }
}

#[tokio::test]
async fn without_taking_back_the_old_score_stays() {
    let server = RedisServer::start(&[]).await;
    let mut bench = Bench::open_without(server.port, WINDOW, "redis.no-take-back").await;
    bench.insert(1, "a", "play");
    bench.insert(2, "a", "click");
    bench.write().await.unwrap();
    bench.verify().await;
    bench.delete(2);
    bench.write().await.unwrap();
    bench.verify_wrong().await;
    bench.event(Op::Update, support::now_ms(), 1, "b", "play", "");
    bench.write().await.unwrap();
    bench.verify_wrong().await;
}

#[tokio::test]
async fn without_the_generation_a_reset_does_not_move_the_board() {
    let server = RedisServer::start(&[]).await;
    for (failpoints, moves) in [("", true), ("redis.no-generation", false)] {
        flush_all(&server).await;
        let mut bench = Bench::open_without(server.port, WINDOW, failpoints).await;
        bench.insert(1, "a", "play");
        bench.write().await.unwrap();
        // The group was reset to the end of the log: what came before shall not count.
        let offsets = bench.task.open(std::slice::from_ref(&bench.partition), Generation(2)).await.unwrap();
        assert_eq!(offsets.is_empty(), moves, "{failpoints}: the worker's offset counts");
        assert_eq!(bench.points().await.is_empty(), moves, "{failpoints}");
    }
}
