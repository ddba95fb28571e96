//! What is wrong is named, with the place and the next step, and nothing was started.

use std::process::{Command, Output};

use crate::stack::{Options, Stack, program};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn a_configuration_that_is_not_there_or_has_an_unknown_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thm.toml");
    let run = || Command::new(program()).args(["run", "--config"]).arg(&file).output().unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("THM-CFG-001"), "{}", said(&output));
    std::fs::write(&file, "[server]\nconect_port = 1\n").unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("conect_port"), "{}", said(&output));
}

#[test]
fn sql_with_an_error_shows_the_place_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (config, sql) = (folder.path().join("thm.toml"), folder.path().join("job.sql"));
    std::fs::write(&config, "connectors = []\nsql = [\"job.sql\"]\ndata_dir = \"data\"\n").unwrap();
    std::fs::write(&sql, "SET 'a' = 'b';\nCREATE TABLE t (id BIGNT) WITH ('connector' = 'kafka');\n").unwrap();
    let output = Command::new(program()).args(["run", "--config"]).arg(&config).output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("BIGNT") && text.contains(":2:") && text.contains("THM-SQL-001"), "{text}");
    assert!(!folder.path().join("data").exists(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_fails_the_sink_with_the_statement_that_creates_it() {
    let stack = Stack::services(Options::default()).await;
    stack.clickhouse.query("DROP TABLE thm.enriched_events").await.unwrap();
    let mut stack = stack;
    stack.start_engine().await;
    let path = "/connectors/clickhouse.enriched.sink/status";
    stack
        .eventually("the sink is FAILED", async || {
            let status = stack.get(stack.connect_port, path).await.unwrap_or_default();
            status["tasks"][0]["state"] == "FAILED"
        })
        .await;
    let status = stack.get(stack.connect_port, path).await.unwrap();
    let trace = status["tasks"][0]["trace"].as_str().unwrap();
    assert!(trace.contains("THM-SNK-003") && trace.contains("CREATE TABLE"), "{trace}");
    // The others are not delayed.
    stack
        .eventually("the API receives events", async || {
            let status = stack.get(stack.connect_port, "/connectors/http.enriched.sink/status").await;
            status.is_some_and(|status| status["tasks"][0]["state"] == "RUNNING")
        })
        .await;
}
