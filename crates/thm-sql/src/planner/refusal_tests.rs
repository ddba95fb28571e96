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

#[test]
fn the_ends_of_a_scan_are_checked_in_flinks_words() {
    let with = |more: &str| compiled(&KAFKA.replace("'scan.startup.mode' = 'earliest-offset', MORE", more));
    let said = |more: &str| with(more).unwrap_err().message().to_owned();
    let (timestamp, specific) = ("'scan.END.mode' = 'timestamp'", "'scan.END.mode' = 'specific-offsets'");
    for end in ["startup", "bounded"] {
        let start = if end == "bounded" { "'scan.startup.mode' = 'earliest-offset', " } else { "" };
        let said = |more: &str| said(&format!("{start}{}", more.replace("END", end)));
        let needed =
            |what: &str, mode: &str| format!("'scan.{end}.{what}' is required in '{mode}' {end} mode but missing.");
        assert_eq!(said(timestamp), needed("timestamp-millis", "timestamp"));
        assert_eq!(said(specific), needed("specific-offsets", "specific-offsets"));
        let unread =
            format!("Could not parse value 'x' for key 'scan.{end}.timestamp-millis'. For input string: \"x\"");
        assert_eq!(said("'scan.END.mode' = 'latest-offset', 'scan.END.timestamp-millis' = 'x'"), unread);
        assert!(said("'scan.END.mode' = 'Latest_Offset'").starts_with("Could not parse value 'Latest_Offset' for key"));
        let no_group = "Property group.id is required when using committed offset for offsets initializer";
        assert_eq!(said("'scan.END.mode' = 'group-offsets'"), no_group);
        for wrong in
            ["foo", "partition:0, offset:1", "partition:0,offset:1;;partition:1,offset:1", "partition:x,offset:1", ""]
        {
            let found = said(&format!("{specific}, 'scan.END.specific-offsets' = '{wrong}'"));
            assert!(
                found.starts_with(&format!("Invalid properties 'scan.{end}.specific-offsets' should follow")),
                "{found}"
            );
        }
        let several = KAFKA.replace("'topic' = 't'", "'topic' = 't;u'").replace(
            "'scan.startup.mode' = 'earliest-offset', MORE",
            &format!("{start}{specific}, 'scan.END.specific-offsets' = 'partition:0,offset:1'").replace("END", end),
        );
        let single = "Currently Kafka source only supports specific offset for single topic.";
        assert_eq!(message(&several), single);
    }
    assert!(with("'scan.startup.mode' = 'EARLIEST-OFFSET'").is_ok());
    assert!(
        with("'scan.startup.mode' = 'specific-offsets', 'scan.startup.specific-offsets' = 'partition:0,offset:1;'")
            .is_ok()
    );
    // Offsets are read only where they count.
    assert!(with("'scan.startup.mode' = 'latest-offset', 'scan.startup.specific-offsets' = 'foo'").is_ok());
    let reset = "'scan.startup.mode' = 'earliest-offset', 'properties.auto.offset.reset' = 'foo'";
    assert_eq!(said(reset), "auto.offset.reset can not be set to foo. Valid values: [latest,earliest,none]");
    let parallel = said("'scan.startup.mode' = 'earliest-offset', 'scan.parallelism' = '2'");
    assert!(parallel.starts_with("Unsupported options found for 'kafka'."), "{parallel}");
}

#[test]
fn datagen_takes_the_options_of_a_kind_and_type_alone() {
    let with = |kind: &str, options: &str| {
        compiled(&format!(
            "CREATE TABLE t (a {kind}) WITH ('connector' = 'datagen', {options}); \
             CREATE TABLE o (a {kind}) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;"
        ))
    };
    for (kind, options, words) in [
        ("INT", "'fields.a.kind' = 'SEQUENCE'", "Unsupported generator kind: SEQUENCE"),
        (
            "INT",
            "'fields.a.kind' = 'sequence', 'fields.a.start' = '1'",
            "Could not find required property 'fields.a.end'",
        ),
        ("DATE", "'fields.a.kind' = 'sequence'", "Unsupported type: DATE"),
        ("TIMESTAMP(3)", "'fields.a.kind' = 'sequence'", "Unsupported type: TIMESTAMP(3)"),
        (
            "INT",
            "'fields.a.kind' = 'sequence', 'fields.a.start' = '1', 'fields.a.end' = '3', 'fields.a.min' = '1'",
            "Unsupported options found for 'datagen'.\n\nUnsupported options:\n\nfields.a.min",
        ),
        ("INT", "'fields.a.length' = '3'", "Unsupported options found for 'datagen'."),
        ("BOOLEAN", "'fields.a.null-rate' = '1'", "Unsupported options found for 'datagen'."),
        ("STRING", "'fields.a.max' = '3'", "Unsupported options found for 'datagen'."),
        ("INT", "'fields.a.start' = '3'", "Unsupported options found for 'datagen'."),
        ("INT", "'fields.b.max' = '3'", "Unsupported options found for 'datagen'."),
        (
            "INT",
            "'fields.a.min' = '1.5'",
            "Could not parse value '1.5' for key 'fields.a.min'. For input string: \"1.5\"",
        ),
        (
            "INT",
            "'fields.a.min' = '5', 'fields.a.max' = '3'",
            "lower bound (5) must be strictly less than upper bound (3)",
        ),
        ("STRING", "'fields.a.length' = '0'", "length (0)"),
        ("ARRAY<INT>", "'fields.a.min' = '1'", "Unsupported options found for 'datagen'."),
        ("ARRAY<INT>", "'fields.a.kind' = 'sequence'", "Unsupported type: ARRAY<INT>"),
        ("ROW<x INT>", "'fields.a.length' = '1'", "Unsupported options found for 'datagen'."),
        ("MAP<STRING, INT>", "'fields.a.value.min' = 'x'", "Could not parse value 'x' for key 'fields.a.value.min'."),
        ("INT", "'number-of-rows' = 'x'", "Could not parse value 'x' for key 'number-of-rows'."),
        ("TIMESTAMP(3)", "'fields.a.max-past' = 'x'", "Could not parse value 'x' for key 'fields.a.max-past'."),
        (
            "STRING",
            "'fields.a.var-len' = 'yes'",
            "Could not parse value 'yes' for key 'fields.a.var-len'. Unrecognized option",
        ),
    ] {
        let found = with(kind, options).unwrap_err();
        assert!(found.message().starts_with(words), "{kind}, {options}: {}", found.message());
    }
    assert!(with("BYTES", "'fields.a.kind' = 'sequence', 'fields.a.start' = '1', 'fields.a.end' = '3'").is_ok());
    assert!(with("DECIMAL(4, 1)", "'fields.a.min' = '1.5', 'fields.a.null-rate' = '0.5'").is_ok());
}

#[test]
fn metadata_that_a_connector_lacks_is_named_in_flinks_words() {
    let read = |format: &str, column: &str| {
        let text = format!(
            "CREATE TABLE t (a INT, {column}) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = '{format}', \
            'properties.bootstrap.servers' = 'x', 'scan.startup.mode' = 'earliest-offset'); \
            CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;"
        );
        message(&text)
    };
    let found = read("debezium-json", "s STRING METADATA FROM 'schema'");
    assert!(found.starts_with("Invalid metadata key 'schema' in column 's' of table"), "{found}");
    assert!(found.contains(
        "The DynamicTableSource class 'org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicSource'"
    ));
    assert!(found.contains("for reading:\nvalue.schema\nvalue.ingestion-timestamp\n"), "{found}");
    assert!(
        read("json", "s STRING METADATA FROM 'value.schema'").contains("for reading:\ntopic\npartition\nheaders\n")
    );
    assert!(read("json", "h INT METADATA FROM 'headers'").contains("must be castable from metadata type"));
    let sink = message(
        "CREATE TABLE o (a INT, h INT METADATA FROM 'headers') WITH ('connector' = 'kafka', 'topic' = 't', \
         'format' = 'json', 'properties.bootstrap.servers' = 'x'); INSERT INTO o VALUES (1, 2);",
    );
    assert!(sink.ends_with("must be castable to metadata type 'MAP<STRING, BYTES>'."), "{sink}");
}

#[test]
fn jobs_of_one_name_are_numbered_and_told_of() {
    let text = "CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o VALUES (1); INSERT INTO o VALUES (2); \
        SET 'pipeline.name' = 'mine'; INSERT INTO o VALUES (3); INSERT INTO o VALUES (4); \
        EXECUTE STATEMENT SET BEGIN INSERT INTO o VALUES (5); INSERT INTO o VALUES (6); END;";
    let script = compiled(text).unwrap();
    let names: Vec<&str> = script.jobs.iter().map(|job| job.name.as_str()).collect();
    let own = "insert-into_default_catalog.default_database.o";
    assert_eq!(names, [own, &format!("{own}-2"), "mine", "mine-2", "mine.o", "mine.o-2"]);
    let told = script.notices.iter().filter(|notice| notice.contains("SET 'pipeline.name'")).count();
    assert_eq!(told, 3, "{:?}", script.notices);
}
