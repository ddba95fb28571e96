//! The original's SQL file, as published, and its connector files with their own host names.

use crate::stack::{Options, Stack, project};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sql_runs_here_as_it_is() {
    let sql = project().join("crates/thm-sql/tests/sql/published.sql");
    let stack = Stack::start_with(Options { sql, ..Options::default() }).await;
    let report = stack.assert_verified();
    assert_eq!(report["events"], 4_000);
    let jobs = stack.get(stack.flink_port, "/jobs").await.unwrap();
    assert_eq!(jobs["jobs"][0]["status"], "RUNNING");
}
