//! Statements and options that would be ignored are refused, or reported, by name.
#![allow(clippy::unwrap_used)]

use super::*;

fn compiled(text: &str) -> Result<Script, SqlDiagnostic> {
    compile("t.sql", text, &CompileContext::default())
}

fn message(text: &str) -> String {
    compiled(text).unwrap_err().message().to_owned()
}

const KAFKA: &str = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json', \
    'properties.bootstrap.servers' = 'x', 'scan.startup.mode' = 'earliest-offset', MORE); \
    CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;";

#[test]
fn what_we_lack_is_named() {
    for (text, name) in [
        ("CREATE CATALOG c WITH ('type' = 'x')", "CREATE CATALOG"),
        ("CREATE TEMPORARY SYSTEM FUNCTION f AS 'a.B'", "CREATE FUNCTION"),
        ("DROP FUNCTION f", "DROP FUNCTION"),
        ("CREATE MATERIALIZED TABLE m AS SELECT 1", "CREATE MATERIALIZED TABLE"),
        ("CREATE OR REPLACE TABLE m AS SELECT 1", "CREATE OR REPLACE TABLE"),
        ("ALTER DATABASE d SET ('a' = 'b')", "ALTER DATABASE"),
        ("EXECUTE PLAN '/x'", "EXECUTE PLAN"),
        ("DESCRIBE JOB 'x'", "DESCRIBE JOB"),
        ("DESCRIBE CATALOG c", "DESCRIBE CATALOG"),
        ("SHOW JOBS", "SHOW JOBS"),
    ] {
        assert!(message(text).starts_with(&format!("{name} is not supported")), "{text}: {}", message(text));
    }
}

#[test]
fn names_of_topics_are_checked_when_the_job_is_submitted() {
    for name in ["", "a b", "..", "ä"] {
        let text = format!("SET 'errors.deadletterqueue.topic.name' = '{name}';");
        assert_eq!(message(&text), format!("'{name}' is not the name of a topic"));
    }
    assert!(compiled("SET 'errors.deadletterqueue.topic.name' = 'dlq.enrich';").is_ok());
}

#[test]
fn properties_of_clients_are_reported_and_classes_refused() {
    let with = |more: &str| compiled(&KAFKA.replace("MORE", more));
    let script = with("'properties.security.protocol' = 'SSL', 'properties.group.id' = 'g'").unwrap();
    assert_eq!(script.notices, ["option 'properties.security.protocol' of table t has no effect here"]);
    let error = with("'properties.partitioner.class' = 'a.B'").unwrap_err();
    assert!(error.message().contains("'properties.partitioner.class' is not supported"));
    assert!(with("'properties.auto.offset.reset' = 'by_duration:P1D'").is_err());
}

#[test]
fn datagen_takes_lengths_where_flink_does() {
    let with = |kind: &str, option: &str| {
        compiled(&format!(
            "CREATE TABLE t (a {kind}) WITH ('connector' = 'datagen', 'fields.a.{option}); \
             CREATE TABLE o (a {kind}) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;"
        ))
    };
    assert!(with("STRING", "var-len' = 'true'").is_ok() && with("VARCHAR(9)", "length' = '9'").is_ok());
    assert!(with("INT", "var-len' = 'true'").unwrap_err().message().contains("variable-length types"));
    assert!(with("CHAR(3)", "length' = '2'").unwrap_err().message().contains("Custom length for fixed-length type"));
    assert!(with("VARCHAR(9)", "length' = '10'").unwrap_err().message().contains("should be shorter than '9'"));
}

#[test]
fn csv_has_no_maps() {
    let text =
        "CREATE TABLE t (a MAP<STRING, INT>) WITH ('connector' = 'filesystem', 'path' = '/x', 'format' = 'csv');";
    assert!(message(text).contains("Unsupported type 'MAP<STRING, INT>' for field 'a'."), "{}", message(text));
}

#[test]
fn a_full_cache_is_what_it_is_in_flink() {
    let with = |more: &str| {
        compiled(&format!(
            "CREATE TABLE e (id INT, pt AS PROCTIME()) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json',
               'properties.bootstrap.servers' = 'x', 'scan.startup.mode' = 'earliest-offset');
             CREATE TABLE d (id INT, tags ARRAY<STRING>) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://h/d',
               'table-name' = '(SELECT 1 AS id, tags FROM x WHERE true) AS x', 'lookup.cache' = 'FULL' {more});
             CREATE TABLE o (a INT) WITH ('connector' = 'blackhole');
             INSERT INTO o SELECT e.id FROM e JOIN d FOR SYSTEM_TIME AS OF e.pt ON d.id = e.id;"
        ))
    };
    let script = with("").unwrap();
    assert_eq!(script.notices, ["option 'lookup.cache = FULL' of table d has no effect here"]);
    let said = with(", 'lookup.full-cache.reload-strategy' = 'PERIODIC'").unwrap_err().message().to_owned();
    assert!(said.starts_with("Unsupported options found for 'jdbc'."), "{said}");
}
