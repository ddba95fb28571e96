//! A value in PostgreSQL that cannot be decoded: the task stops, or its row is set aside, with table, column and key.

use serde_json::{Value, json};
use thm_dev::services::{Postgres, Running};

use super::bare::{Bare, said, with};
use super::connectors::postgres;

/// A type of the name of an extension's, whose binary form is an integer's: what begins with a byte of 1 reads as that
/// extension's text, all else is no value of it.
const IMPOSTOR: &str = "
    CREATE TYPE ltree;
    CREATE FUNCTION ltree_in(cstring) RETURNS ltree LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
    CREATE FUNCTION ltree_out(ltree) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
    CREATE FUNCTION ltree_recv(internal) RETURNS ltree LANGUAGE internal IMMUTABLE STRICT AS 'int4recv';
    CREATE FUNCTION ltree_send(ltree) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
    CREATE TYPE ltree (INPUT = ltree_in, OUTPUT = ltree_out, RECEIVE = ltree_recv, SEND = ltree_send, LIKE = int4);
    CREATE TABLE odd (id int PRIMARY KEY, path ltree, note text);
    ALTER TABLE odd OWNER TO app;";
/// `abc` behind the byte 1.
const GOOD: i32 = 0x0161_6263;
const BAD: i32 = 7;

async fn server() -> (Running<Postgres>, tokio_postgres::Client) {
    let server = Postgres::temporary().await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&server.superuser_url().unwrap(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(IMPOSTOR).await.unwrap();
    (server, client)
}

fn letters(bare: &Bare) -> Vec<Value> {
    let output = bare.thm(&["dlq", "show", "tolerant", "--output", "json"]);
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn that_cannot_be_decoded_stops_the_task_or_is_set_aside_by_name() {
    let (bare, (server, client)) = tokio::join!(Bare::start(&[]), server());
    client.batch_execute(&format!("INSERT INTO odd VALUES (1, '{GOOD}', 'a'), (2, '{BAD}', 'b')")).await.unwrap();
    let source = |name: &str| with(&postgres(server.port(), name), json!({"table.include.list": "public.odd"}));
    bare.create("strict", &source("strict")).await;
    bare.create("tolerant", &with(&source("tolerant"), json!({"errors.tolerance": "all"}))).await;
    let words = ["THM-SRC-007", "public.odd.path of {\"id\":2}", "the value is not a binary value of version 1"];
    bare.task("strict", "FAILED", &words).await;
    let count = async |wanted: usize| {
        let what = format!("{wanted} letters");
        bare.until(&what, async || {
            let found = letters(&bare);
            if found.len() == wanted { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .await
    };
    count(1).await;
    let changes = format!(
        "INSERT INTO odd VALUES (3, '{BAD}', 'c'), (4, '{GOOD}', 'd'); UPDATE odd SET path = '{GOOD}' WHERE id = 2"
    );
    client.batch_execute(&changes).await.unwrap();
    let found = count(2).await;
    for (letter, (id, op, note)) in found.iter().zip([(2, "r", "b"), (3, "c", "c")]) {
        assert_eq!((&letter["connector"], &letter["code"]), (&json!("tolerant"), &json!("THM-SRC-007")), "{letter}");
        let cause = format!("public.odd.path of {{\"id\":{id}}}: the value is not a binary value of version 1");
        assert_eq!((&letter["cause"], &letter["key"]), (&json!(cause), &json!(format!("{{\"id\":{id}}}"))));
        let row = json!({"id": id, "path": {"undecodable": "AAAABw=="}, "note": note});
        let value: Value = serde_json::from_str(letter["value"].as_str().unwrap()).unwrap();
        assert_eq!(value, json!({"table": "public.odd", "op": op, "before": null, "after": row}));
    }
    bare.is_well("tolerant").await;
    // Everything else is in its topic, and nothing of those two as NULL or otherwise.
    let topic = bare.until("the good rows", async || {
        let topic = bare.consume("tolerant.public.odd");
        if topic.matches("\"path\":\"abc\"").count() == 3 { Ok(topic) } else { Err(topic) }
    });
    let topic = topic.await;
    assert!(!topic.contains("\"id\":3") && !topic.contains("\"path\":null"), "{topic}");

    // Such letters have no topic to go back to.
    let before = topic.lines().count();
    for more in [&[][..], &["--dry-run"], &["--for-all"]] {
        let arguments = [&["dlq", "replay", "tolerant"], more].concat();
        let words = [
            "dlq.tolerant/0/0",
            "a letter of the source tolerant",
            "tolerant.public.odd",
            "write the row in the database again",
        ];
        bare.refuses(&arguments, 2, &words);
    }
    assert_eq!(bare.consume("tolerant.public.odd").lines().count(), before);
    let shown = said(&bare.thm(&["dlq", "show", "tolerant"]));
    assert!(shown.contains("tolerant.public.odd"), "{shown}");
}
