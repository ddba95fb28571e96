//! Whole scripts to plans, and what is refused on the way.
#![allow(clippy::unwrap_used)]

use super::*;

const OURS: &str = include_str!("../../../../flink/sql/01_enrich.sql");
const PUBLISHED: &str = include_str!("../../tests/sql/published.sql");

fn compiled(text: &str) -> Script {
    compile("test.sql", text, &CompileContext::default()).unwrap()
}

fn refused(text: &str) -> SqlDiagnostic {
    compile("test.sql", text, &CompileContext::default()).unwrap_err()
}

#[test]
fn both_files_make_the_same_job() {
    for text in [OURS, PUBLISHED] {
        let script = compiled(text);
        let [job] = script.jobs.as_slice() else { panic!("{script:?}") };
        assert_eq!(job.name, "insert-into_default_catalog.default_database.enriched_out");
        assert_eq!(job.source_topics(), ["pg.public.engagement_events", "pg.public.content"]);
        assert_eq!(job.sink_topic(), "thm.enriched.events");
        assert_eq!((job.id().len(), job.checkpoint_interval), (32, DEFAULT_CHECKPOINT_INTERVAL));
        assert!(job.explain().contains("LookupJoin"), "{}", job.explain());
    }
    let jars = compiled(PUBLISHED).notices.iter().filter(|notice| notice.contains("ADD JAR")).count();
    assert_eq!(jars, 4);
}

#[test]
fn only_what_is_used_is_decoded() {
    let script = compiled(OURS);
    let lookup = &script.jobs[0].graph.lookups[0];
    let needed: Vec<&str> =
        lookup.fields.iter().filter(|field| field.needed).map(|field| field.name.as_str()).collect();
    assert_eq!(needed, ["id", "content_type", "length_seconds"]);
}

#[test]
fn a_captured_table_says_its_topic() {
    let captured = |table: &str| CapturedTable {
        schema: "public".to_owned(),
        table: table.to_owned(),
        topic: format!("other.{table}"),
    };
    let context = CompileContext { captured: vec![captured("content")], ..CompileContext::default() };
    let script = compile("test.sql", OURS, &context).unwrap();
    assert_eq!(script.jobs[0].source_topics()[1], "other.content");
    let of = |database: &str| {
        let topic = Arc::new(|schema: &str, table: &str| (table == "content").then(|| format!("p.{schema}.{table}")));
        CompileContext { sources: vec![Capture { database: database.to_owned(), topic }], ..CompileContext::default() }
    };
    let script = compile("test.sql", OURS, &of("thm")).unwrap();
    assert_eq!(script.jobs[0].source_topics()[1], "p.public.content");
    let asked = compile("test.sql", OURS, &of("another")).unwrap();
    assert_eq!(asked.jobs[0].source_topics().len(), 1, "the database is asked");
    let shown = asked.jobs[0].explain();
    assert!(shown.contains("asks=[") && shown.contains("cache=[partial, max rows=Some(5000)"), "{shown}");
}

#[test]
fn what_would_be_ignored_is_refused_with_its_place() {
    let cases = [
        ("'scan.startup.mode' = 'earliest-offset'", "'scan.startup.mode' = 'nope'", "scan.startup.mode"),
        ("'debezium-json.ignore-parse-errors' = 'true'", "'debezium-json.nope' = '1'", "debezium-json.nope"),
        ("'connector' = 'jdbc'", "'connector' = 'hbase'", "hbase"),
        ("FOR SYSTEM_TIME AS OF e.proc_time", "", "join of streams"),
        ("FOR SYSTEM_TIME AS OF e.proc_time", "FOR SYSTEM_TIME AS OF e.event_ts", "proctime"),
        ("e.device,", "e.devise,", "devise"),
        ("DATE_FORMAT(e.event_ts", "DATE_FROMAT(e.event_ts", "DATE_FROMAT"),
        ("e.raw_payload\nFROM", "e.raw_payload, 1\nFROM", "Different number of columns"),
        ("  e.id,\n  e.content_id", "  e.user_id,\n  e.content_id", "Incompatible types"),
        ("'UTC'", "'Mars/Phobos'", "Invalid time zone. The value should be a Time Zone Database"),
        (
            "PRIMARY KEY (id) NOT ENFORCED\n) WITH (\n  'connector' = 'upsert-kafka'",
            "x INT) WITH ('connector' = 'upsert-kafka'",
            "PRIMARY KEY",
        ),
        ("LEFT JOIN", "RIGHT JOIN", "Unknown join type RIGHT"),
        ("WHERE e.event_type IS NOT NULL", "WHERE e.event_type", "condition"),
        ("WHERE e.event_type IS NOT NULL", "GROUP BY e.id", "is not being grouped"),
    ];
    for (from, to, wanted) in cases {
        assert!(OURS.contains(from), "{from}");
        let error = refused(&OURS.replace(from, to));
        assert!(error.message().contains(wanted), "{from} → {to}: {error:?}");
        assert!(error.line() > 1, "{from} → {to}: {error:?}");
    }
}

#[test]
fn an_error_prints_its_line_and_a_caret() {
    let error = refused(&OURS.replace("e.device,", "e.devise,"));
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none())
        .render_report(&mut shown, &error)
        .unwrap();
    for part in ["THM-SQL-001", "e.devise", "test.sql:", "Did you mean 'device'"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let api: thm_api::Error = error.into();
    assert_eq!(api.kind(), thm_api::ErrorKind::InvalidSql);
}

#[test]
fn the_same_text_gives_the_same_plan() {
    let hash = |text: &str| compiled(text).jobs[0].hash();
    assert_eq!(hash(OURS), hash(OURS));
    assert_ne!(hash(OURS), hash(&OURS.replace("/ 1000.0, 2", "/ 1000.0, 1")));
    assert_eq!(hash(OURS), hash(&OURS.replace("'10s'", "'1s'")), "the interval is not part of the plan");
}

#[test]
fn a_second_job_into_a_table_has_a_name_of_its_own() {
    let insert = &OURS[OURS.find("INSERT INTO").unwrap()..];
    let script = compiled(&format!("{OURS}\n{insert}"));
    assert_eq!(script.jobs[1].name, format!("{}-2", script.jobs[0].name));
    let script = compiled(&format!("{OURS}\nSET 'pipeline.name' = 'second';\n{insert}"));
    assert_eq!(script.jobs[1].name, "second");
}

#[test]
fn the_sessions_zone_is_part_of_the_plan() {
    let zoned = OURS.replace("'UTC'", "'Europe/Berlin'");
    assert_ne!(zoned, OURS);
    let plan = |text: &str| format!("{:?}", compiled(text).jobs[0]);
    assert!(plan(&zoned).contains("InZone") && plan(&zoned).contains("Berlin"), "{}", plan(&zoned));
    assert!(!plan(OURS).contains("InZone"));
}
