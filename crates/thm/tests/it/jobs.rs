//! `thm job`: an edited SQL file takes the place of the job that runs, and a wrong one does not.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::stack::{Options, Stack, project};

/// A copy of the demo's job that a test may edit.
struct JobFile {
    path: PathBuf,
    text: String,
    _folder: tempfile::TempDir,
}

impl JobFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("01_enrich.sql");
        let text = std::fs::read_to_string(project().join("flink/sql/01_enrich.sql")).unwrap();
        std::fs::write(&path, &text).unwrap();
        Self { path, text, _folder: folder }
    }

    /// Writes the demo's text with one thing changed.
    fn edit(&self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        std::fs::write(&self.path, self.text.replace(from, to)).unwrap();
    }
}

fn submit(stack: &Stack, file: &JobFile) -> Output {
    stack.thm(&["job", "submit", file.path.to_str().unwrap(), "--output", "json"])
}

fn job(stack: &Stack) -> Value {
    let output = stack.thm(&["job", "list", "--output", "json"]);
    let jobs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    jobs[0].clone()
}

/// Ids in the output topic, in the order of their offsets, deletes left out.
async fn delivered(stack: &Stack) -> Vec<i64> {
    let page = stack.get(stack.flink_port, "/api/log/thm.enriched.events/0").await;
    // The job makes the topic when it starts to read.
    let Some(page) = page else { return Vec::new() };
    let values = page["records"].as_array().unwrap().iter().filter_map(|record| record["value"].as_str());
    values.map(|text| serde_json::from_str::<Value>(text).unwrap()["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_goes_on_where_the_old_one_was_and_a_wrong_one_changes_nothing() {
    let file = JobFile::new();
    let init = [project().join("db/init/01_schema.sql"), project().join("db/init/02_content.sql")];
    let options = Options { sql: file.path.clone(), init: init.to_vec(), ..Options::default() };
    let stack = Stack::start_with(options).await;
    let insert = "INSERT INTO engagement_events (content_id, user_id, event_type, device) \
                  SELECT id, gen_random_uuid(), 'play', device FROM content, \
                  (VALUES ('ios'), ('android')) AS devices (device) ORDER BY device LIMIT 40";
    stack.sql(insert).await;
    stack.eventually("40 events", async || delivered(&stack).await.len() == 40).await;
    let before = job(&stack);

    // The same text is the same version: nothing is interrupted.
    let answer: Value = serde_json::from_slice(&submit(&stack, &file).stdout).unwrap();
    assert_eq!(answer[0]["done"], "unchanged", "{answer}");

    file.edit("WHERE e.event_type IS NOT NULL", "WHERE e.device = 'android'");
    let output = submit(&stack, &file);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = job(&stack);
    assert_eq!((&after["id"], &after["state"]), (&before["id"], &Value::from("RUNNING")));
    assert_ne!(after["version"], before["version"]);
    stack.sql(insert).await;
    stack.eventually("20 events of one device", async || delivered(&stack).await.len() >= 60).await;
    let ids = delivered(&stack).await;
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "what was delivered does not come again");
    assert_eq!(ids.len(), 60, "the new version counts from where the old one was, and not the iOS events");

    // Wrong in the text, and wrong for what runs: both are refused with the place or the reason.
    file.edit("e.user_id,", "e.userid,");
    let output = submit(&stack, &file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("THM-SQL-001") && said.contains("userid") && said.contains("───"), "{said}");
    file.edit("'topic' = 'thm.enriched.events'", "'topic' = 'thm.elsewhere'");
    let output = submit(&stack, &file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("topic or key") && said.contains("--from"), "{said}");
    assert_eq!((&job(&stack)["version"], &job(&stack)["state"]), (&after["version"], &Value::from("RUNNING")));

    // Told where to start, it takes the old one's place under the same id.
    let output = stack.thm(&["job", "submit", file.path.to_str().unwrap(), "--from", "earliest", "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&job(&stack)["id"], &job(&stack)["state"]), (&before["id"], &Value::from("RUNNING")));
    stack
        .eventually("all events in the other topic", async || {
            let page = stack.get(stack.flink_port, "/api/log/thm.elsewhere/0").await;
            page.is_some_and(|page| page["records"].as_array().is_some_and(|records| records.len() == 80))
        })
        .await;

    let output = stack.thm(&["health"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = stack.thm(&["job", "cancel", "enriched_out"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stack.eventually("its end", async || job(&stack)["state"] == "CANCELED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_start_gives_way_to_the_old_one() {
    let file = JobFile::new();
    let init = [project().join("db/init/01_schema.sql"), project().join("db/init/02_content.sql")];
    let stack = Stack::start_with(Options { sql: file.path.clone(), init: init.to_vec(), ..Options::default() }).await;
    let insert = "INSERT INTO engagement_events (content_id, user_id, event_type) \
                  SELECT id, gen_random_uuid(), 'play' FROM content";
    stack.sql(insert).await;
    stack.eventually("20 events", async || delivered(&stack).await.len() == 20).await;
    let before = job(&stack);
    // What a text cannot show: the queue's topic is made when the job starts, and no topic may be called so.
    let failing = "SET 'errors.tolerance' = 'all'; SET 'errors.deadletterqueue.topic.name' = 'no such name';\nSET ";
    let elsewhere = file.text.replacen("SET ", failing, 1);
    let elsewhere = elsewhere.replace("'topic' = 'thm.enriched.events'", "'topic' = 'thm.elsewhere'");
    assert!(elsewhere.contains("thm.elsewhere") && elsewhere.contains("no such name"));
    for (text, more) in [(file.text.replacen("SET ", failing, 1), &[][..]), (elsewhere, &["--from", "earliest"])] {
        std::fs::write(&file.path, text).unwrap();
        let output = stack.thm(&[&["job", "submit", file.path.to_str().unwrap()], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("no such name"), "{said}");
        assert_eq!((&job(&stack)["version"], &job(&stack)["state"]), (&before["version"], &Value::from("RUNNING")));
    }
    stack.sql(insert).await;
    stack.eventually("the next 20", async || delivered(&stack).await.len() == 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_what_screen_and_page_show() {
    let stack = Stack::start().await;
    let found = async || stack.get(stack.flink_port, "/api/status").await.unwrap();
    let connector = |status: &Value, kind: &str| {
        let all = status["connectors"].as_array().unwrap();
        all.iter().find(|one| one["class"].as_str().unwrap().contains(kind)).cloned().unwrap()
    };
    stack
        .eventually("rows, places and titles", async || {
            let status = found().await;
            let rows = connector(&status, "ClickHouse")["rows"].as_u64().unwrap_or(0);
            let board = connector(&status, "Leaderboard")["leaderboard"].clone();
            rows >= 4_000 && board[0]["score"].as_f64().is_some() && board[0]["title"].is_string()
        })
        .await;
    let status = found().await;
    let source = connector(&status, "Postgres");
    assert_eq!((&source["postgres"]["slot"], &source["error"]), (&Value::from("thm_pg"), &Value::Null));
    let events =
        status["topics"].as_array().unwrap().iter().find(|topic| topic["name"] == "pg.public.engagement_events");
    let snapshot = &events.unwrap()["snapshot"];
    assert_eq!(
        (snapshot["rows"].as_f64(), snapshot["expected"].as_f64()),
        (Some(4_000.0), Some(4_000.0)),
        "{snapshot}"
    );

    // A target that is away: the error in its place, and a lag that grows although nothing is delivered.
    stack.redis.process().kill();
    stack.sql("UPDATE engagement_events SET device = 'x' WHERE id <= 10").await;
    stack
        .eventually("the error in its place", async || {
            let redis = connector(&found().await, "Leaderboard");
            redis["retrying"] == true
                && redis["error"]["code"] == "THM-SNK-001"
                && redis["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty())
                && redis["lag"].as_u64() == Some(10)
        })
        .await;
}
