//! A reset is a new life: by a Kafka client, by REST, by the command, by a new topic. Deleting a connector is none.

use serde_json::{Value, json};
use thm_dev::services::Redis;

use super::kafka_client::kafka_python;
use super::target::Target;
use crate::bad_input::bare::{Bare, said, with};
use crate::bad_input::connectors::redis;
use crate::bad_input::sinks::EVENT;

const TOPIC: &str = "thm.enriched.events";

fn event(id: u32) -> String {
    EVENT.replace("\"id\":1", &format!("\"id\":{id}"))
}

/// Ids in the order in which the target took them.
fn ids(target: &Target) -> Vec<u64> {
    let id = |body: &String| serde_json::from_str::<Value>(body).unwrap()["id"].as_u64().unwrap();
    target.bodies().iter().map(id).collect()
}

async fn sent(bare: &Bare, target: &Target, expected: &[u64]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    bare.until(&format!("{expected:?} are delivered"), async || {
        let mut found = ids(target);
        found.sort_unstable();
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

/// A sink that has delivered and committed the events 1 to 3.
async fn delivered() -> (Bare, Target) {
    let (bare, target) = tokio::join!(Bare::start(&[]), Target::start());
    bare.create("s", &target.sink()).await;
    (1..=3).for_each(|id| bare.produce(TOPIC, &id.to_string(), &event(id)));
    sent(&bare, &target, &[1, 2, 3]).await;
    committed(&bare, "s", 3).await;
    (bare, target)
}

async fn committed(bare: &Bare, name: &str, next: i64) {
    bare.until(&format!("{name} has committed {next}"), async || {
        let (_, offsets) = bare.ask("GET", &format!("/connectors/{name}/offsets"), None).await.unwrap();
        let found = offsets["offsets"][0]["offset"]["kafka_offset"].as_i64();
        if found == Some(next) { Ok(()) } else { Err(offsets.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_kafka_client_resets_or_deletes() {
    let (bare, target) = delivered().await;
    // While its connector runs the group has a member.
    for arguments in [&["delete-group", "connect-s"][..], &["reset-group", "connect-s", TOPIC, "1"]] {
        let text = said(&kafka_python(bare.kafka_port, arguments));
        assert!(["NonEmpty", "UnknownMember"].iter().any(|error| text.contains(error)), "{arguments:?}: {text}");
    }
    bare.json(&["connector", "stop", "s"]);
    let output = kafka_python(bare.kafka_port, &["reset-group", "connect-s", TOPIC, "1"]);
    assert!(output.status.success(), "{}", said(&output));
    bare.json(&["connector", "resume", "s"]);
    sent(&bare, &target, &[1, 2, 3, 2, 3]).await;
    committed(&bare, "s", 3).await;
    // It is meant to be sent again, so it has another key.
    let keys: std::collections::BTreeSet<_> = target.posts().into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");

    bare.json(&["connector", "stop", "s"]);
    let output = kafka_python(bare.kafka_port, &["delete-group", "connect-s"]);
    assert!(output.status.success(), "{}", said(&output));
    bare.json(&["connector", "resume", "s"]);
    sent(&bare, &target, &[1, 2, 3, 2, 3, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_and_command_refuse_a_running_sink_and_move_a_stopped_one() {
    let (bare, target) = delivered().await;
    let path = "/connectors/s/offsets";
    let change = json!({"offsets": [{"partition": {"kafka_topic": TOPIC, "kafka_partition": 0},
                                     "offset": {"kafka_offset": 2}}]});
    for (method, body) in [("PATCH", Some(change.clone())), ("DELETE", None)] {
        let (status, answer) = bare.ask(method, path, body).await.unwrap();
        assert_eq!(status, 400, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains("STOPPED"), "{answer}");
    }
    bare.refuses(&["connector", "offsets", "reset", "s", "--to", "earliest"], 2, &["RUNNING", "--stop"]);
    bare.refuses(&["connector", "offsets", "reset", "s", "--to", "9", "--stop"], 2, &["0 to 3", "not 9"]);
    bare.refuses(&["connector", "offsets", "reset", "s", "--to", "0", "--topic", "t"], 2, &["does not read", TOPIC]);
    let planned = bare.json(&["connector", "offsets", "reset", "s", "--to", "1", "--dry-run"]);
    assert_eq!(planned, json!([{"topic": TOPIC, "partition": 0, "from": 3, "to": 1}]));
    assert_eq!(bare.json(&["connector", "offsets", "show", "s"])[0]["next"], 3, "nothing was changed");

    bare.json(&["connector", "offsets", "reset", "s", "--to", "1", "--stop"]);
    sent(&bare, &target, &[1, 2, 3, 2, 3]).await;
    bare.json(&["connector", "stop", "s"]);
    assert_eq!(bare.ask("PATCH", path, Some(change)).await.unwrap().0, 200);
    bare.json(&["connector", "resume", "s"]);
    sent(&bare, &target, &[1, 2, 3, 2, 3, 3]).await;
    committed(&bare, "s", 3).await;

    // latest skips; a time after everything is the end too.
    bare.json(&["connector", "stop", "s"]);
    (4..=5).for_each(|id| bare.produce(TOPIC, &id.to_string(), &event(id)));
    let to = bare.json(&["connector", "offsets", "reset", "s", "--to", "2999-01-01T00:00:00Z"]);
    assert_eq!(to[0]["to"], 5);
    bare.json(&["connector", "resume", "s"]);
    bare.produce(TOPIC, "6", &event(6));
    sent(&bare, &target, &[1, 2, 3, 2, 3, 3, 6]).await;
    let shown = bare.json(&["connector", "offsets", "show", "s"]);
    assert_eq!((&shown[0]["first"], &shown[0]["end"]), (&json!(0), &json!(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_made_again_it_goes_on_where_it_was() {
    let (bare, target) = delivered().await;
    assert_eq!(bare.ask("DELETE", "/connectors/s", None).await.unwrap().0, 204);
    bare.produce(TOPIC, "4", &event(4));
    bare.create("s", &target.sink()).await;
    sent(&bare, &target, &[1, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_delivered_from_its_start() {
    let (bare, target) = delivered().await;
    let output = kafka_python(bare.kafka_port, &["delete-topic", TOPIC]);
    assert!(output.status.success(), "{}", said(&output));
    bare.produce(TOPIC, "7", &event(7));
    sent(&bare, &target, &[1, 2, 3, 7]).await;
}

async fn points(server: &Redis) -> Vec<(String, f64)> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("ZRANGE");
    command.arg("thm:top:10m").arg(0).arg(-1).arg("WITHSCORES");
    command.query_async(&mut connection).await.unwrap()
}

/// The fence in Redis is further than the group, and of an older life: it must not win.
#[tokio::test(flavor = "multi_thread")]
async fn the_leaderboard_counts_again_from_where_the_group_was_set() {
    let (bare, server) = tokio::join!(Bare::start(&[]), Redis::temporary());
    let server = server.unwrap();
    bare.create("board", &redis(&server.url())).await;
    for (id, content) in [(1, "c1"), (2, "c2"), (3, "c3")] {
        bare.produce(TOPIC, &id.to_string(), &event(id).replace("\"c1\"", &format!("\"{content}\"")));
    }
    let shows = async |expected: &[&str]| {
        bare.until(&format!("the board shows {expected:?}"), async || {
            let found = points(&server).await;
            let members: Vec<&str> = found.iter().map(|(member, _)| member.as_str()).collect();
            if members == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    shows(&["c1", "c2", "c3"]).await;
    bare.json(&["connector", "offsets", "reset", "board", "--to", "2", "--stop"]);
    shows(&["c3"]).await;
    bare.json(&["connector", "stop", "board"]);
    let output = kafka_python(bare.kafka_port, &["delete-group", "connect-board"]);
    assert!(output.status.success(), "{}", said(&output));
    bare.json(&["connector", "resume", "board"]);
    shows(&["c1", "c2", "c3"]).await;
    let one_each = points(&server).await;
    assert!(one_each.iter().all(|(_, points)| (points - 1.0).abs() < 1e-9), "{one_each:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_its_own_name_is_the_one_that_counts() {
    let (bare, target) = tokio::join!(Bare::start(&[]), Target::start());
    bare.create("s", &with(&target.sink(), json!({"consumer.override.group.id": "mine"}))).await;
    bare.produce(TOPIC, "1", &event(1));
    sent(&bare, &target, &[1]).await;
    committed(&bare, "s", 1).await;
    bare.json(&["connector", "stop", "s"]);
    let output = kafka_python(bare.kafka_port, &["delete-group", "mine"]);
    assert!(output.status.success(), "{}", said(&output));
    bare.json(&["connector", "resume", "s"]);
    sent(&bare, &target, &[1, 1]).await;
}
