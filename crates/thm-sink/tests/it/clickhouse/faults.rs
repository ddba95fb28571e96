//! Targets that are missing, wrong, closed, slow or overloaded, and records that only the server can judge.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use thm_api::{Connector, ErrorKind, Generation, Op, Policy};
use thm_sink::ClickHouseConnector;

use super::engine::{Database, event, query};
use crate::support::{MemoryState, batch, config, context, foreign, free_port, partition, record, sink};

const TS: &str = "2025-08-23 05:40:00";

async fn open_error(database: &Database, further: &[(&str, &str)]) -> thm_api::Error {
    database.sink(further).await.open(std::slice::from_ref(&database.partition), Generation(1)).await.unwrap_err()
}

#[tokio::test]
async fn a_missing_table_is_named_with_the_statement_to_run() {
    let database = Database::empty().await;
    let error = open_error(&database, &[]).await;
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert_eq!(error.object(), format!("{}.enriched_events", database.name));
    let (_, statement) = error.hint().split_once("CREATE TABLE").unwrap();
    query(&format!("CREATE TABLE{statement}")).await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[foreign(0, 0, &event(1, TS, "10"))])).await.unwrap();
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "1");
}

#[tokio::test]
async fn a_missing_database_is_named() {
    let database = Database { name: "no_such_database".to_owned(), partition: partition(7) };
    let error = open_error(&database, &[]).await;
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.hint().contains("CREATE DATABASE `no_such_database`"), "{}", error.hint());
}

#[tokio::test]
async fn a_column_of_a_wrong_type_is_named_before_the_first_row() {
    let database = Database::contract().await;
    database.ask("ALTER TABLE {t} MODIFY COLUMN length_seconds Date").await;
    let error = open_error(&database, &[]).await;
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.object().ends_with("enriched_events.length_seconds"), "{}", error.object());
    assert!(error.hint().contains("Column length_seconds") && error.hint().contains("Date"), "{}", error.hint());
}

#[tokio::test]
async fn a_column_that_takes_no_record_at_all_is_a_mismatch_and_no_row_of_dead_letters() {
    let database = Database::empty().await;
    database.ask("CREATE TABLE {t} (id UInt64, device Date, list Array(String)) ENGINE = MergeTree ORDER BY id").await;
    let (mut task, partition) = database.opened().await;
    let rows: Vec<_> = (0..10).map(|at| foreign(at, 0, &event(at, TS, "10"))).collect();
    let error = task.write(batch(&partition, &rows)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.hint().contains("column device") && error.hint().contains("Date"), "{}", error.hint());

    let error = task.write(batch(&partition, &[foreign(10, 0, "{\"id\":1,\"list\":[\"a\"]}")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.hint().contains("Column list has type Array(String)"), "{}", error.hint());
}

#[tokio::test]
async fn a_wrong_password_is_denied() {
    let database = Database::contract().await;
    let error = open_error(&database, &[("password", "wrong")]).await;
    assert_eq!(error.kind(), ErrorKind::SinkDenied);
    let error = open_error(&database, &[("username", "nobody"), ("password", "wrong")]).await;
    assert_eq!(error.kind(), ErrorKind::SinkDenied);
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again() {
    let port = free_port().to_string();
    let database = Database::empty().await;
    let error = open_error(&database, &[("port", &port)]).await;
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
    assert!(error.to_string().contains(&port), "{error}");
    let options = config(&[("hostname", "127.0.0.1"), ("port", &port), ("ssl", "false"), ("topics", "a")]);
    let check = ClickHouseConnector.check(&context(&Arc::new(MemoryState::default()), options)).await;
    assert_eq!(check.unwrap_err().kind(), ErrorKind::SinkUnreachable);
}

#[tokio::test]
async fn one_record_that_does_not_fit_is_named_and_the_rest_follows_without_it() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let mut rows: Vec<_> = (0..20).map(|at| foreign(at, 0, &event(at, TS, "10"))).collect();
    rows[7] = foreign(7, 0, &event(7, "yesterday", "10"));
    rows[9] = foreign(9, 0, &event(9, TS, "3000000000"));
    let error = task.write(batch(&partition, &rows)).await.unwrap_err();
    assert_eq!(error.kind().policy(), Policy::DeadLetter);
    let rejected: Vec<_> = error.rejected().iter().map(|record| (record.offset.0, record.reason.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (7, "column event_ts DateTime64(3) does not take a text that is no timestamp"),
            (9, "column length_seconds Int32 does not take a number out of its range"),
        ]
    );
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "0");

    // The worker brings the same range without them.
    let mut range = batch(&partition, &rows);
    range.chunks[0].records.retain(|record| ![7, 9].contains(&record.offset.0));
    task.write(range.clone()).await.unwrap();
    task.write(range).await.unwrap();
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "18");
}

#[tokio::test]
async fn a_record_that_only_the_server_refuses_is_found() {
    let database = Database::empty().await;
    database
        .ask(
            "CREATE TABLE {t} (id UInt64, kind Enum8('play' = 1, 'pause' = 2)) ENGINE = ReplacingMergeTree ORDER BY id",
        )
        .await;
    let (mut task, partition) = database.opened().await;
    let kind = |at: i64| if [5, 61].contains(&at) { "dance" } else { "play" };
    let row = |at: i64| foreign(at, 0, &format!("{{\"id\":{at},\"kind\":\"{}\"}}", kind(at)));
    let error = task.write(batch(&partition, &(0..100).map(row).collect::<Vec<_>>())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordRejected, "{error}");
    let rejected: Vec<_> = error.rejected().iter().map(|record| record.offset.0).collect();
    assert_eq!(rejected, [5, 61]);
    assert!(error.rejected()[0].reason.contains("dance"), "{}", error.rejected()[0].reason);
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "0", "looking for it wrote nothing");
}

#[tokio::test]
async fn a_row_that_breaks_a_constraint_is_found() {
    let database = Database::empty().await;
    database
        .ask("CREATE TABLE {t} (id UInt64, n Int32, CONSTRAINT positive CHECK n > 0) ENGINE = MergeTree ORDER BY id")
        .await;
    let (mut task, partition) = database.opened().await;
    let row = |at: i64| foreign(at, 0, &format!("{{\"id\":{at},\"n\":{}}}", if at == 3 { -1 } else { 1 }));
    let error = task.write(batch(&partition, &(0..6).map(row).collect::<Vec<_>>())).await.unwrap_err();
    assert_eq!(error.rejected().len(), 1, "{error}");
    assert_eq!(error.rejected()[0].offset.0, 3);
}

#[tokio::test]
async fn nulls_in_every_nullable_column_and_defaults_elsewhere() {
    let database = Database::contract().await;
    database
        .ask("ALTER TABLE {t} ADD COLUMN note String DEFAULT 'none', ADD COLUMN twice UInt64 MATERIALIZED id * 2")
        .await;
    let (mut task, partition) = database.opened().await;
    let nulls = r#"{"id":1,"content_id":null,"user_id":null,"event_type":null,"event_ts":null,"device":null,"content_type":null,"length_seconds":null,"engagement_seconds":null,"engagement_pct":null,"raw_payload":null}"#;
    let given =
        event(2, TS, "120").replace('{', "{\"note\":\"x\",").replace("\"{\"note\":\"x\",\\\"a\\\":1}\"", "\"{}\"");
    task.write(batch(&partition, &[foreign(0, 0, nulls)])).await.unwrap();
    task.write(batch(&partition, &[foreign(1, 0, &given)])).await.unwrap();
    let rows = database.ask("SELECT *, twice FROM {t} ORDER BY id").await;
    assert_eq!(
        rows,
        "1\t\t\t\t1970-01-01 00:00:00.000\t\t\t0\t\\N\t\\N\t\tnone\t2\n\
         2\tc-2\tu-test\tplay\t2025-08-23 05:40:00.000\tios\tvideo\t120\t10.5\t8.75\t{}\tx\t4"
    );
}

#[tokio::test]
async fn every_type_we_write_arrives_as_it_is() {
    let database = Database::empty().await;
    database
        .ask(
            "CREATE TABLE {t} (id Int64, i8 Int8, u16 UInt16, f32 Float32, f64 Float64, b Bool, d Decimal(38, 4), \
             u UUID, day Date, day32 Date32, at DateTime('UTC'), at2 DateTime64(2, 'UTC'), at6 DateTime64(6, 'UTC'), \
             at9 DateTime64(9, 'UTC'), fixed FixedString(3), ip IPv4, big UInt128, low LowCardinality(Nullable(String)), \
             nested String) ENGINE = ReplacingMergeTree ORDER BY (d, u, day, at, at2, b, id)",
        )
        .await;
    let (mut task, partition) = database.opened().await;
    let text = r#"{"id":-5,"i8":-128,"u16":65535,"f32":1.5,"f64":-2.5e-3,"b":true,"d":"-1234.5678","u":"0B5E3F7A-1111-4222-8333-444455556666","day":"2149-06-06","day32":"1900-01-01","at":"2106-02-07 06:28:15","at2":"2025-08-23T05:40:00.129Z","at6":"1969-12-31 23:59:59.999999","at9":"2025-08-23 05:40:00.123456789","fixed":"abc","ip":"10.0.0.1","big":"340282366920938463463374607431768211455","low":"x","nested":{"a": [1, 2]}}"#;
    let expected = "-5\t-128\t65535\t1.5\t-0.0025\ttrue\t-1234.5678\t0b5e3f7a-1111-4222-8333-444455556666\t2149-06-06\t\
        1900-01-01\t2106-02-07 06:28:15\t2025-08-23 05:40:00.12\t1969-12-31 23:59:59.999999\t\
        2025-08-23 05:40:00.123456789\tabc\t10.0.0.1\t340282366920938463463374607431768211455\tx\t{\"a\":[1,2]}";
    task.write(batch(&partition, &[record(0, Op::Create, 0, -5, Some(text.to_owned()))])).await.unwrap();
    assert_eq!(database.ask("SELECT * FROM {t}").await, expected);

    // The same key with another sorting key: the delete must know every type of it exactly.
    let moved = text.replace("-1234.5678", "0.5");
    let update = batch(&partition, &[record(1, Op::Update, 0, -5, Some(moved))]);
    task.write(update.clone()).await.unwrap();
    task.write(update).await.unwrap();
    assert_eq!(database.ask("SELECT * FROM {t}").await, expected.replace("-1234.5678", "0.5"));
}

#[tokio::test]
async fn change_envelopes_are_refused_instead_of_rows_of_defaults() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let envelope = r#"{"before":null,"after":{"id":1},"source":{},"op":"c"}"#.to_owned();
    let error = task.write(batch(&partition, &[record(0, Op::Create, 0, 1, Some(envelope))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.hint().contains("before, after, source, op"), "{}", error.hint());
}

/// A server that answers as told, for faults that an engine does not have on request.
async fn answering(status: StatusCode, code: Option<&'static str>, pause: Duration) -> (u16, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
        let mut headers = HeaderMap::new();
        if let Some(code) = code {
            headers.insert("x-clickhouse-exception-code", code.parse().unwrap());
        }
        (status, headers, "no")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (port, asked)
}

async fn open_at(port: u16, further: &[(&str, &str)]) -> thm_api::Error {
    let port = port.to_string();
    let mut options = vec![("hostname", "127.0.0.1"), ("port", port.as_str()), ("ssl", "false")];
    options.extend_from_slice(further);
    let mut task = sink(&ClickHouseConnector, context(&Arc::new(MemoryState::default()), config(&options)));
    task.open(&[partition(7)], Generation(1)).await.unwrap_err()
}

#[tokio::test]
async fn overload_is_tried_again_and_each_attempt_is_one_request() {
    for (status, code) in [
        (StatusCode::SERVICE_UNAVAILABLE, None),
        (StatusCode::TOO_MANY_REQUESTS, None),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("252")),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("241")),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("216")),
    ] {
        let (port, asked) = answering(status, code, Duration::ZERO).await;
        let error = open_at(port, &[]).await;
        assert_eq!(error.kind(), ErrorKind::SinkUnreachable, "{status} {code:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the worker owns retry");
    }
    let (port, _) = answering(StatusCode::OK, None, Duration::ZERO).await;
    assert_eq!(open_at(port, &[]).await.kind(), ErrorKind::SinkMismatch, "that is no ClickHouse");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let (port, _) = answering(StatusCode::OK, None, Duration::from_secs(600)).await;
    let started = Instant::now();
    let error = open_at(port, &[("timeoutSeconds", "1")]).await;
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_attempt_that_still_runs_is_waited_for() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    // The range's query id, held by another query: as if an earlier attempt were still inserting.
    let id = format!("test/1/{}/0/0-0", partition.topic_uuid);
    let port = tokio::task::spawn_blocking(super::engine::port).await.unwrap();
    let mut url = reqwest::Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    url.query_pairs_mut().append_pair("query_id", &id).append_pair("max_block_size", "1");
    let long = "SELECT sleepEachRow(0.1) FROM numbers(3000) FORMAT Null";
    let running = tokio::spawn(reqwest::Client::new().post(url).body(long).send());
    let is_running = format!("SELECT count() FROM system.processes WHERE query_id = '{id}'");
    while query(&is_running).await != "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let range = batch(&partition, &[foreign(0, 0, &event(1, TS, "10"))]);
    let error = task.write(range.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable, "{error}");
    query(&format!("KILL QUERY WHERE query_id = '{id}' SYNC")).await;
    running.await.unwrap().unwrap();
    task.write(range).await.unwrap();
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "1");
}
