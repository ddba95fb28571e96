//! `kill -9` of the engine at random moments under load: nothing missing, nothing extra, nothing different.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::stack::{Options, Stack, project};

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

/// Inserts, updates, deletes and changes of content, until it is aborted.
fn changes(client: tokio_postgres::Client) -> tokio::task::JoinHandle<()> {
    const ONE_ROUND: &str = "BEGIN; \
        INSERT INTO engagement_events (content_id, event_type, duration_ms, device, raw_payload) \
        SELECT (ARRAY(SELECT id FROM content))[1 + random() * 19], (ARRAY['play', 'pause', 'finish', 'click'])[1 + random() * 3], \
               random() * 100000, (ARRAY['ios', 'web', NULL])[1 + random() * 2], jsonb_build_object('n', n) \
        FROM generate_series(1, 20) AS n; \
        UPDATE content SET title = title || 'x' WHERE length_seconds % 2 = (SELECT (random() * 2)::int); \
        COMMIT; \
        UPDATE engagement_events SET event_type = 'play', content_id = (ARRAY(SELECT id FROM content))[1 + random() * 19] \
        WHERE id IN (SELECT id FROM engagement_events ORDER BY random() LIMIT 4); \
        DELETE FROM engagement_events WHERE id IN (SELECT id FROM engagement_events ORDER BY random() LIMIT 2)";
    tokio::spawn(async move {
        while client.batch_execute(ONE_ROUND).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// All records of a topic, with offsets, keys, values, timestamps and positions.
async fn records(stack: &Stack, topic: &str) -> Vec<Value> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let path = format!("/api/log/{topic}/0?from={from}");
        let Some(mut page) = stack.get(stack.flink_port, &path).await else { return all };
        let Value::Array(records) = page["records"].take() else { return all };
        if records.is_empty() {
            return all;
        }
        all.extend(records);
        from = page["next"].as_i64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_jobs_wrote_is_what_the_same_jobs_write_in_peace() {
    const TOPICS: [&str; 4] = ["enriched", "families", "words", "podcasts"];
    let mut random = seeded();
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("kills/jobs.sql");
    let (killed, peaceful) = (folder.path().join("killed.sql"), folder.path().join("peaceful.sql"));
    std::fs::write(&killed, text).unwrap();
    // Tables give jobs their names: these are other jobs, which write to other topics.
    let renamed = TOPICS.iter().fold(text.replace("'out.", "'peace."), |text, name| {
        text.replace(&format!("TABLE {name} "), &format!("TABLE peaceful_{name} "))
            .replace(&format!("INTO {name}\n"), &format!("INTO peaceful_{name}\n"))
            .replace(&format!("INTO {name} "), &format!("INTO peaceful_{name} "))
            .replace(&format!("FROM {name} "), &format!("FROM peaceful_{name} "))
    });
    std::fs::write(&peaceful, renamed).unwrap();
    let init = [project().join("db/init/01_schema.sql"), project().join("db/init/02_content.sql")];
    let mut stack = Stack::services(Options { init: init.to_vec(), sql: killed, ..Options::default() }).await;
    stack
        .sql(
            "ALTER TABLE engagement_events REPLICA IDENTITY FULL; \
              CREATE TABLE devices (device text PRIMARY KEY, family text); \
              INSERT INTO devices VALUES ('ios', 'Apple'), ('web', 'Web')",
        )
        .await;
    let load = changes(stack.client().await);
    kill_again_and_again(&mut stack, 6, &mut random).await;
    load.abort();
    assert!(stack.thm(&["job", "submit", peaceful.to_str().unwrap()]).status.success());
    let mut sizes = Vec::new();
    for topic in TOPICS {
        let (out, peace) = (format!("out.{topic}"), format!("peace.{topic}"));
        stack
            .eventually(&format!("as many records in {peace} as in {out}"), async || {
                let (out, peace) = (records(&stack, &out).await.len(), records(&stack, &peace).await.len());
                out > 0 && out == peace
            })
            .await;
        let (out, peace) = (records(&stack, &out).await, records(&stack, &peace).await);
        let differing = out.iter().zip(&peace).find(|(out, peace)| out != peace);
        assert!(differing.is_none(), "{topic}: {differing:?}");
        sizes.push(out.len());
    }
    assert!(sizes.iter().all(|records| *records > 50), "{sizes:?}");
}
