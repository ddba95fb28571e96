//! The DAG: its files are those that are shipped, and its five tasks work against the stack.
//!
//! `tools/check_airflow.sh` runs it in a real Airflow, which takes minutes to install; here the same file runs under a
//! module of a few lines that stands for Airflow's decorators.

use std::process::Command;

use crate::stack::{Options, Stack, project};

/// Airflow's decorators, as far as the DAG uses them: tasks run when called, in the order of `>>`.
const DECORATORS: &str = r#"
class Ran:
    def __rshift__(self, after):
        return after

def task(function):
    def run():
        print("task", function.__name__)
        function()
        return Ran()
    return run

def dag(**options):
    assert options["dag_id"] == "thamanya_bootstrap" and options["catchup"] is False and options["schedule"] is None
    return lambda function: function
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_dag_brings_a_bare_stack_into_service_and_may_run_again() {
    let empty = tempfile::tempdir().unwrap();
    let bare = Options { connectors: empty.path().join("*.json").display().to_string(), ..Options::default() };
    let stack = Stack::start_with(bare).await;
    stack.clickhouse.query("DROP TABLE thm.enriched_events SYNC").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("airflow")).unwrap();
    std::fs::write(folder.path().join("airflow/__init__.py"), "").unwrap();
    std::fs::write(folder.path().join("airflow/sdk.py"), DECORATORS).unwrap();
    let expected = [
        "clickhouse_create_db",
        "clickhouse_create_table",
        "wait_for_clickhouse_sink_plugin",
        "register_debezium_source",
        "register_clickhouse_sink",
    ]
    .map(|name| format!("task {name}\n"))
    .concat();
    for _ in 0..2 {
        let output = Command::new("python3")
            .arg(project().join("airflow/dags/thamanya_bootstrap.py"))
            .env("PYTHONPATH", folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("THM_CLICKHOUSE_URL", stack.clickhouse.url())
            .env("THM_CONNECT_URL", format!("http://127.0.0.1:{}", stack.connect_port))
            .env_remove("http_proxy")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    stack
        .eventually("4,000 rows in ClickHouse", async || {
            stack.clickhouse.query("SELECT count() FROM thm.enriched_events FINAL").await.unwrap().trim() == "4000"
        })
        .await;
}

#[test]
fn the_dags_files_are_those_that_are_shipped() {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).unwrap();
    for (resource, shipped) in [
        ("pg.engagement.source.json", "connectors/pg.engagement.source.json"),
        ("clickhouse.enriched.sink.json", "connectors/clickhouse.enriched.sink.json"),
        ("clickhouse_create_table.sql", "crates/thm-dev/sql/enriched_events.sql"),
    ] {
        assert_eq!(read(&format!("airflow/dags/resources/{resource}")), read(shipped), "{resource}");
    }
}
