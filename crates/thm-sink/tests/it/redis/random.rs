//! Random changes under random faults: whatever happens, the board is what the log says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thm_api::{Generation, Op};

use super::service::{Bench, LossyProxy, RedisServer};
use crate::support;

/// Numbers that are the same in every run: a linear congruential generator with Knuth's constants.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn change(bench: &mut Bench, dice: &mut Dice) {
    let (id, content) = (dice.roll(60) as i64, format!("c{}", dice.roll(8)));
    let kind = ["play", "finish", "click", "pause", "seek"][dice.roll(5) as usize];
    let now_ms = support::now_ms();
    let moment = now_ms - dice.roll(2_500) as i64;
    let own = chrono::DateTime::from_timestamp_millis(moment).unwrap().format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    match dice.roll(10) {
        0..=3 => bench.event(Op::Create, now_ms, id, &content, kind, &own),
        4 | 5 => bench.event(Op::Update, now_ms, id, &content, kind, &own),
        6 => bench.event(Op::Read, now_ms, id, &content, kind, &own),
        7 => bench.delete(id),
        8 => {
            let value = format!(r#"{{"content_id":"{content}","event_type":"{kind}"}}"#);
            bench.log.push(support::foreign(bench.log.len() as i64, moment, &value));
        }
        _ => {
            let value = format!(r#"{{"id":{id},"content_id":"{content}","event_type":"{kind}"}}"#);
            bench.log.push(support::foreign(bench.log.len() as i64, now_ms, &value));
        }
    }
}

async fn fault(server: &RedisServer, proxy: &LossyProxy, bench: &mut Bench, dice: &mut Dice) {
    match dice.roll(12) {
        0..=2 => proxy.lose.store(1, Ordering::SeqCst),
        3 | 4 => bench.crash(Generation(1)).await.unwrap(),
        5 => {
            let mut connection = server.connection().await;
            let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        }
        6 => {
            let mut connection = server.connection().await;
            let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_board_is_what_the_log_says() {
    let server = RedisServer::start(&[]).await;
    let proxy = LossyProxy::start(server.port).await;
    let mut bench = Bench::open(proxy.port, "2000").await;
    let mut dice = Dice(8);
    let (began, mut checks) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(7) {
        for _ in 0..=dice.roll(20) {
            change(&mut bench, &mut dice);
        }
        fault(&server, &proxy, &mut bench, &mut dice).await;
        if dice.roll(3) == 0 && bench.task.tick().await.is_err() {
            bench.reopen(Generation(1)).await.unwrap();
        }
        bench.write_as_worker().await;
        proxy.lose.store(0, Ordering::SeqCst);
        bench.verify().await;
        checks += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(checks > 100, "{checks}");
}
