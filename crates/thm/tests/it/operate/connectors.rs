//! `thm connector list|status|pause|resume|restart|stop`.

use serde_json::json;

use super::target::Target;
use crate::bad_input::bare::{Bare, said, with};
use crate::bad_input::sinks::EVENT;

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_looked_after_from_the_command_line() {
    let (bare, target) = tokio::join!(Bare::start(&[]), Target::start());
    bare.create("http sink", &target.sink()).await;
    bare.create("other", &with(&target.sink(), json!({"topics": "nothing"}))).await;
    let names = |value: &serde_json::Value| {
        let rows = value.as_array().unwrap().iter();
        rows.map(|row| (row["connector"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let running = |name: &str| (name.to_owned(), "RUNNING".to_owned());
    assert_eq!(names(&bare.json(&["connector", "list"])), [running("http sink"), running("other")]);

    assert_eq!(bare.json(&["connector", "pause", "http sink"])["state"], "PAUSED");
    bare.produce("thm.enriched.events", "1", EVENT);
    let text = said(&bare.thm(&["connector", "list"]));
    assert!(text.contains("CONNECTOR") && text.contains("PAUSED") && text.contains("HttpSinkConnector"), "{text}");
    assert!(target.bodies().is_empty(), "a paused sink delivers nothing");
    assert_eq!(bare.json(&["connector", "resume", "http sink"])["state"], "RUNNING");
    bare.until("it delivers", async || if target.bodies() == [EVENT] { Ok(()) } else { Err(String::new()) }).await;

    // A task that failed says why, and a restart alone does not help before the cause is gone.
    target.refuse(Some("\"id\":2"));
    bare.produce("thm.enriched.events", "2", &EVENT.replace("\"id\":1", "\"id\":2"));
    bare.task("http sink", "FAILED", &["422"]).await;
    let status = said(&bare.thm(&["connector", "status", "http sink"]));
    let words = ["FAILED", "THM-SNK-004", "not on my watch", "thm.enriched.events"];
    assert!(words.iter().all(|word| status.contains(word)), "{status}");
    assert_eq!(bare.json(&["connector", "list"])[0]["task"], "FAILED");
    bare.refuses(&["connector", "resume", "http sink"], 2, &["FAILED", "THM-SNK-004"]);
    target.refuse(None);
    assert_eq!(bare.json(&["connector", "restart", "http sink", "--only-failed"])["state"], "RUNNING");
    bare.until("it goes on", async || if target.bodies().len() == 2 { Ok(()) } else { Err(String::new()) }).await;

    assert_eq!(bare.json(&["connector", "stop", "http sink"])["state"], "STOPPED");
    assert_eq!(bare.json(&["connector", "status", "http sink"])["tasks"], json!([]));
    bare.refuses(&["connector", "restart", "http sink"], 2, &["STOPPED", "thm connector resume"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_the_next_command() {
    let bare = Bare::start(&[]).await;
    bare.refuses(&["connector", "status", "none"], 2, &["none", "thm connector list"]);
    bare.refuses(&["connector", "pause", "none"], 2, &["none"]);
    bare.refuses(&["connector", "list", "--connect", "127.0.0.1:1"], 3, &["127.0.0.1:1", "thm dev", "--connect"]);
    bare.refuses(&["connector", "offsets", "reset", "none", "--to", "yesterday"], 2, &["2025-08-23T05:40:00Z"]);
    bare.refuses(&["dlq", "show", "none"], 2, &["dlq"]);
    let help = said(&bare.thm(&["connector", "offsets", "reset", "--help"]));
    assert!(["ClickHouse", "Redis", "HTTP", "earliest", "--dry-run"].iter().all(|word| help.contains(word)), "{help}");
}
