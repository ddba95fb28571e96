//! What users get wrong: each a kind, a cause, and what to do.

use thm_api::{Connector, ConnectorConfig, Error, ErrorKind};
use thm_source::PostgresConnector;

use crate::harness::Bench;
use crate::postgres::Postgres;

async fn check(bench: &Bench) -> Error {
    bench.check().await.err().unwrap()
}

async fn start(bench: &Bench) -> Error {
    bench.start().await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn server_user_and_rights() {
    let mut bench = Bench::demo();
    bench.check().await.unwrap();
    bench.postgres.psql("CREATE ROLE weak LOGIN PASSWORD 'weak'");
    bench.set("database.password", "wrong");
    let error = check(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SourceDenied, "{error}");
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    bench.set("database.user", "weak");
    bench.set("database.password", "weak");
    // Who may log in passes the check; what it may not do fails the task.
    bench.check().await.unwrap();
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SourceDenied);
    assert!(error.hint().contains("ALTER ROLE \"weak\" REPLICATION"), "{}", error.hint());
    bench.set("database.dbname", "nowhere");
    assert_eq!(check(&bench).await.kind(), ErrorKind::SourceDenied);
    bench.set("database.hostname", "127.0.0.1");
    bench.set("database.port", "1");
    let error = check(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
    assert!(error.to_string().contains("127.0.0.1:1/nowhere"), "{error}");
}

/// Whoever may replicate may still lack the tables' rows, or the right to publish them.
#[tokio::test(flavor = "multi_thread")]
async fn rights_on_tables_and_database() {
    let mut bench = Bench::demo();
    bench.postgres.psql("CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader'");
    bench.set("database.user", "reader");
    bench.set("database.password", "reader");
    bench.set("table.include.list", "public.content");
    bench.set("publication.autocreate.mode", "filtered");
    let error = start(&bench).await;
    assert_eq!((error.kind(), error.object()), (ErrorKind::SourceDenied, "dbz_publication"), "{error}");
    let wanted =
        "with CREATE on the database: CREATE PUBLICATION \"dbz_publication\" FOR TABLE \"public\".\"content\";";
    assert!(error.hint().contains(wanted), "{}", error.hint());
    bench.postgres.psql("CREATE PUBLICATION dbz_publication FOR TABLE content");
    let mut task = bench.start().await.unwrap();
    let error = bench.failure(&mut *task).await;
    assert_eq!((error.kind(), error.object()), (ErrorKind::SourceDenied, "public.content"), "{error}");
    assert!(error.hint().contains("GRANT SELECT ON \"public\".\"content\" TO"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_level_too_low() {
    let bench = Bench::new(Postgres::with(&["-c", "wal_level=replica"]));
    bench.check().await.unwrap();
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SourceNotLogical);
    assert!(error.to_string().contains("wal_level is replica"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_publication() {
    let mut bench = Bench::demo();
    bench.set("table.include.list", "public.content,public.engagement_events");
    bench.set("publication.autocreate.mode", "disabled");
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::CaptureMismatch);
    assert!(
        error.hint().contains("CREATE PUBLICATION \"dbz_publication\" FOR TABLE \"public\".\"content\""),
        "{}",
        error.hint()
    );

    bench.postgres.psql("CREATE PUBLICATION dbz_publication FOR TABLE content");
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::CaptureMismatch);
    assert!(error.object().contains("public.engagement_events"), "{error}");
    assert!(error.hint().contains("ADD TABLE \"public\".\"engagement_events\""), "{}", error.hint());

    // A table that is not there yet is no error, nor is a publication of inserts alone.
    bench.set("table.include.list", "public.content,public.engagement_events,public.nothing");
    bench.postgres.psql("ALTER PUBLICATION dbz_publication ADD TABLE engagement_events");
    bench.postgres.psql("ALTER PUBLICATION dbz_publication SET (publish = 'insert')");
    bench.start().await.unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_a_form_is_left_out_unless_wanted() {
    for (wanted, shown) in [("false", r#"{"id":1,"n":2}"#), ("true", r#"{"id":1,"q":"J2EnICYgJ2In","n":2}"#)] {
        let mut bench = Bench::new(Postgres::start());
        bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY, q tsquery, n int)");
        bench.postgres.psql("INSERT INTO t VALUES (1, 'a & b', 2)");
        bench.set("include.unknown.datatypes", wanted);
        let mut task = bench.start().await.unwrap();
        bench.catch_up(&mut *task).await;
        assert_eq!(bench.stored[0].rows_text().1, shown);
        task.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_and_a_slot_nobody_knows() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    while bench.postgres.psql("SELECT bool_or(active) FROM pg_replication_slots") != "t" {
        bench.turn(&mut *task).await;
    }
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SlotInUse, "{error}");
    bench.check().await.unwrap();
    task.stop().await.unwrap();

    bench.set("slot.name", "theirs");
    bench.state = std::sync::Arc::default();
    bench.postgres.psql("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')");
    let error = start(&bench).await;
    assert_eq!(error.kind(), ErrorKind::SlotUnsafe);
    assert!(error.hint().contains("thm.start=from-slot"));
}

/// A server that goes away is told as such; the worker then makes a new task.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_may_be_tried_again() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    // The stream begins with the poll after the snapshot's last.
    bench.turn(&mut *task).await;
    assert_eq!(bench.postgres.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"), "t");
    let error = loop {
        match task.poll().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
    drop(task);
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.last().unwrap().key_text(), "{\"id\":9001}");
    task.stop().await.unwrap();
}

#[test]
fn every_option_of_the_real_connector_is_known() {
    let connector = PostgresConnector::default();
    let def = connector.config_def();
    assert!(def.keys.len() > 165);
    for name in ["database.hostname", "slot.drop.on.stop", "heartbeat.interval.ms", "thm.start"] {
        assert!(def.get(name).is_some(), "{name}");
    }
    assert!(
        PostgresConnector::default()
            .validate(&ConnectorConfig::default())
            .iter()
            .any(|issue| issue.option == "topic.prefix")
    );
}

#[test]
fn the_shipped_connector_file_has_no_findings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors/pg.engagement.source.json");
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let options: std::collections::BTreeMap<String, String> = serde_json::from_value(file["config"].clone()).unwrap();
    assert_eq!(PostgresConnector::default().validate(&ConnectorConfig::new(options)), []);
}
