//! `kill -9` of the engine at random moments under load: nothing missing, nothing extra, nothing different.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::stack::{Options, Stack};

/// The seed is printed, so that a failure can be repeated.
#[allow(clippy::print_stdout)]
fn seeded() -> StdRng {
    let seed = std::env::var("THM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("THM_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

async fn kill_again_and_again(stack: &mut Stack, kills: u32, random: &mut StdRng) {
    for _ in 0..kills {
        stack.start_engine().await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_200))).await;
        stack.kill_engine();
    }
    stack.start_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_snapshot_included() {
    let mut random = seeded();
    let mut stack = Stack::services(Options::default()).await;
    let load = stack.generate(1_000);
    let content = tokio::spawn({
        let client = stack.client().await;
        async move {
            for length in 100.. {
                let change = format!("UPDATE content SET length_seconds = {length}");
                if client.batch_execute(&change).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    kill_again_and_again(&mut stack, 20, &mut random).await;
    drop(load);
    content.abort();
    stack.assert_verified();
}

#[tokio::test(flavor = "multi_thread")]
async fn unsynced_bytes_of_one_partition_are_lost_and_sent_again() {
    let mut random = seeded();
    // The file layer keeps this partition's bytes in memory until they are synced: a kill loses them, as a power cut would.
    let failpoint = ("THM_FAILPOINT".to_owned(), "log.drop-unsynced:pg.public.engagement_events-0".to_owned());
    let mut stack = Stack::services(Options { environment: vec![failpoint], ..Options::default() }).await;
    let load = stack.generate(1_000);
    kill_again_and_again(&mut stack, 6, &mut random).await;
    drop(load);
    stack.assert_verified();
}
