//! `docs/backfill.md` as it is printed: every command of its `sh` blocks, in order, against a running stack.

use std::path::PathBuf;
use std::process::Command;

use crate::bad_input::bare::said;
use crate::stack::{Stack, program, project};

/// The commands of the document's `sh` blocks, by heading.
fn recipes() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(project().join("docs/backfill.md")).unwrap();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let (mut heading, mut inside) = (String::new(), false);
    for line in text.lines() {
        match line {
            "```sh" => {
                inside = true;
                found.push((heading.clone(), Vec::new()));
            }
            "```" => inside = false,
            line if inside => found.last_mut().unwrap().1.push(line.to_owned()),
            line => {
                if let Some(name) = line.strip_prefix("## ") {
                    name.clone_into(&mut heading);
                }
            }
        }
    }
    found
}

/// Runs a recipe's commands as a user's shell does.
fn follow(stack: &Stack, heading: &str) {
    let recipes = recipes();
    let (_, commands) = recipes.iter().find(|(name, _)| name == heading).unwrap();
    assert!(!commands.is_empty());
    let path = PathBuf::from(program()).parent().unwrap().display().to_string();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
    for command in commands {
        let mut shell = Command::new("sh");
        shell.args(["-ec", command]).env("PATH", &path).env("THM_CONFIG", &stack.config);
        shell.env("THM_CONNECT", format!("127.0.0.1:{}", stack.connect_port));
        shell.env("THM_BOOTSTRAP", format!("127.0.0.1:{}", stack.kafka_port));
        shell.env("CLICKHOUSE", stack.clickhouse.url()).env("SINCE", "2020-01-01T00:00:00Z");
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{heading}: {command}: {}\n{}", said(&output), stack.engine_log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipe_of_the_document_leads_where_it_says() {
    let stack = Stack::start().await;
    stack.assert_verified();
    stack
        .sql(
            "UPDATE engagement_events SET event_ts = event_ts + interval '1 hour' WHERE id % 10 = 0;
             DELETE FROM engagement_events WHERE id % 10 = 1; UPDATE content SET title = title || '!'",
        )
        .await;
    stack.assert_verified();
    let rows = async || stack.clickhouse.query("SELECT count() FROM thm.enriched_events FINAL").await.unwrap();
    let before = rows().await;
    assert_ne!(before.trim(), "0");

    follow(&stack, "A ClickHouse table anew");
    assert_eq!(rows().await, before);

    follow(&stack, "The leaderboard anew");

    let posts = async || {
        let url = format!("{}/metrics", stack.api.url());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("thm_mock_api_events_total "));
        count.map_or(0, |count| count.trim().parse::<f64>().unwrap() as u64)
    };
    let posted = posts().await;
    follow(&stack, "Posting again, from an hour ago");
    stack.eventually("everything is posted again", async || posts().await >= 2 * posted && posted > 0).await;
    follow(&stack, "Records that were refused");
    stack.assert_verified();
}
