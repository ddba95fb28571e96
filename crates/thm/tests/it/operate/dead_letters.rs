//! The dead letter queue from outside: one bad record among good ones, why, and sending it again.

use serde_json::{Value, json};
use thm_dev::services::ClickHouse;

use super::target::Target;
use crate::bad_input::bare::{Bare, said, with};
use crate::bad_input::sinks::{EVENT, table};

const TOPIC: &str = "thm.enriched.events";

fn event(id: u32) -> String {
    EVENT.replace("\"id\":1", &format!("\"id\":{id}"))
}

async fn holds(bare: &Bare, what: &str, mut look: impl AsyncFnMut() -> bool) {
    bare.until(what, async || if look().await { Ok(()) } else { Err(String::new()) }).await;
}

fn letters(bare: &Bare, arguments: &[&str]) -> Vec<Value> {
    let output = bare.thm(&[&["dlq", "show"], arguments, &["--output", "json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two sinks of the same topic; `http` refuses event 3.
async fn one_refused() -> (Bare, Target, Target) {
    let (bare, target, other) = tokio::join!(Bare::start(&[]), Target::start(), Target::start());
    target.refuse(Some("\"id\":3,"));
    bare.create("http", &with(&target.sink(), json!({"errors.tolerance": "all"}))).await;
    bare.create("other", &other.sink()).await;
    (1..=5).for_each(|id| bare.produce(TOPIC, &id.to_string(), &event(id)));
    holds(&bare, "the good ones arrive", async || target.bodies().len() == 4 && other.bodies().len() == 5).await;
    queued(&bare).await;
    (bare, target, other)
}

/// The refused one's letter: targets have the good ones before it is written.
async fn queued(bare: &Bare) {
    holds(bare, "the letter is written", async || bare.json(&["dlq", "list"])[0]["records"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_shown_with_its_cause_and_replayed_once() {
    let (bare, target, other) = one_refused().await;
    let queues = bare.json(&["dlq", "list"]);
    assert_eq!((&queues[0]["queue"], &queues[0]["records"]), (&json!("dlq.http"), &json!(1)));
    assert_eq!((&queues[0]["connector"], &queues[0]["code"]), (&json!("http"), &json!("THM-SNK-004")));
    assert!(queues[0]["cause"].as_str().unwrap().contains("not on my watch"), "{queues}");
    let [letter] = &letters(&bare, &["http"])[..] else { panic!("one letter") };
    assert_eq!(letter["from"], json!({"topic": TOPIC, "partition": 0, "offset": 2}));
    assert_eq!((&letter["key"], &letter["value"]), (&json!("3"), &json!(event(3))));
    let headers: Vec<&str> =
        letter["headers"].as_array().unwrap().iter().map(|header| header[0].as_str().unwrap()).collect();
    let names = [
        "topic",
        "partition",
        "offset",
        "connector.name",
        "task.id",
        "stage",
        "class.name",
        "exception.class.name",
        "exception.message",
    ];
    assert_eq!(headers, names.map(|name| format!("__connect.errors.{name}")));
    let shown = said(&bare.thm(&["dlq", "show", "dlq.http", "--long"]));
    let words = ["thm.enriched.events-0@2", "THM-SNK-004", "not on my watch", "\"id\":3"];
    assert!(words.iter().all(|word| shown.contains(word)), "{shown}");

    // It is still refused: a letter of its own, and the first is not sent again.
    assert_eq!(bare.json(&["dlq", "replay", "http", "--dry-run"])[0]["action"], "would replay");
    assert_eq!(bare.json(&["dlq", "replay", "http"])[0]["where"], "thm.enriched.events-0@5");
    holds(&bare, "it is refused again", async || letters(&bare, &["http"]).len() == 2).await;
    target.refuse(None);
    let again = bare.json(&["dlq", "replay", "http"]);
    assert_eq!(again[0]["action"], "left out: replayed before");
    assert_eq!(again[1]["action"], "replayed");
    holds(&bare, "it is delivered", async || target.bodies().contains(&event(3))).await;
    for row in bare.json(&["dlq", "replay", "http"]).as_array().unwrap() {
        assert_eq!(row["action"], "left out: replayed before");
    }
    // The other sink has had it, and gets it no second time.
    bare.produce(TOPIC, "6", &event(6));
    holds(&bare, "the next one", async || other.bodies().contains(&event(6)) && target.bodies().contains(&event(6)))
        .await;
    assert_eq!((target.bodies().len(), other.bodies().len()), (6, 6));

    bare.json(&["dlq", "replay", "http", "--offset", "0", "--again", "--for-all"]);
    holds(&bare, "everybody has it again", async || other.bodies().len() == 7 && target.bodies().len() == 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_replays_at_once_one_sends() {
    let (bare, target, _other) = one_refused().await;
    target.refuse(None);
    let told: Vec<Value> = std::thread::scope(|scope| {
        let replays: Vec<_> = (0..4).map(|_| scope.spawn(|| bare.json(&["dlq", "replay", "http"]))).collect();
        replays.into_iter().map(|replay| replay.join().unwrap()[0].clone()).collect()
    });
    let sent = told.iter().filter(|row| row["action"] == "replayed").count();
    assert_eq!(sent, 1, "{told:?}");
    assert!(told.iter().all(|row| row["where"] == "thm.enriched.events-0@5"), "{told:?}");
    holds(&bare, "it is delivered", async || target.bodies().contains(&event(3))).await;
    assert_eq!(target.bodies().iter().filter(|body| **body == event(3)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_does_not_come_back_by_a_replay() {
    let (bare, target, _other) = one_refused().await;
    target.refuse(None);
    let newer = event(3).replace("play", "click");
    bare.produce(TOPIC, "3", &newer);
    holds(&bare, "the newer state arrives", async || target.bodies().contains(&newer)).await;
    let told = bare.json(&["dlq", "replay", "http"]);
    assert_eq!(told[0]["action"], "left out: the key has a newer record");
    assert_eq!(told[0]["where"], "thm.enriched.events-0@5");
    assert!(!target.bodies().contains(&event(3)));
    assert_eq!(bare.json(&["dlq", "replay", "http", "--superseded"])[0]["action"], "replayed");
    holds(&bare, "it is sent as told", async || target.bodies().contains(&event(3))).await;
    bare.refuses(&["dlq", "replay", "http", "--offset", "17"], 2, &["dlq.http", "17"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_keeps_the_good_rows_and_takes_the_mended_one() {
    let (bare, server) = tokio::join!(Bare::start(&[]), ClickHouse::temporary());
    let server = server.unwrap();
    server
        .query(
            "CREATE TABLE thm.strict (id UInt64, n Int32, CONSTRAINT small CHECK n < 100) \
                  ENGINE = ReplacingMergeTree ORDER BY id",
        )
        .await
        .unwrap();
    bare.create("ch", &with(&table(&server, "strict"), json!({"errors.tolerance": "all"}))).await;
    // A range of 50 in one batch: one row breaks the table's own rule.
    let lines: String =
        (0..50).map(|id| format!("{id}\t{{\"id\":{id},\"n\":{}}}\n", if id == 17 { 500 } else { id })).collect();
    bare.produce_lines(TOPIC, &lines);
    let count = async |sql: &str| server.query(sql).await.unwrap().trim().to_owned();
    holds(&bare, "49 rows", async || count("SELECT count(), countIf(id = 17) FROM thm.strict").await == "49\t0").await;
    queued(&bare).await;
    let [letter] = &letters(&bare, &["ch"])[..] else { panic!("one letter") };
    assert_eq!(letter["key"], "17");
    assert!(letter["cause"].as_str().unwrap().contains("small"), "{letter}");
    server.query("ALTER TABLE thm.strict DROP CONSTRAINT small").await.unwrap();
    assert_eq!(bare.json(&["dlq", "replay", "ch"])[0]["action"], "replayed");
    holds(&bare, "50 rows", async || count("SELECT count(), countIf(id = 17) FROM thm.strict FINAL").await == "50\t1")
        .await;
}
