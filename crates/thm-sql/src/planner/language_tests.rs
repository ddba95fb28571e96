//! Views, WITH, UNION ALL, hints, metadata, databases: what scripts may say beyond one SELECT.
#![allow(clippy::unwrap_used)]

use super::bounded::{Answer, answer};
use super::*;
use crate::parser::parse_script;

const EVENTS: &str = "CREATE TABLE e (id BIGINT, name STRING, tags ARRAY<STRING>, pt AS PROCTIME()) WITH ('connector' = 'kafka', \
    'topic' = 'pg.public.e', 'properties.bootstrap.servers' = 'x:1', 'format' = 'debezium-json', 'scan.startup.mode' = 'earliest-offset');";
const OUT: &str = "CREATE TABLE o (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', \
    'topic' = 'o', 'properties.bootstrap.servers' = 'x:1', 'key.format' = 'json', 'value.format' = 'json');";

fn script(text: &str) -> Result<Script, SqlDiagnostic> {
    let tables = EVENTS.replace(", tags ARRAY<STRING>", "");
    compile("t.sql", &format!("{tables}{OUT}{text}"), &CompileContext::default())
}

fn plan(text: &str) -> String {
    script(text).unwrap().jobs[0].explain()
}

fn message(text: &str) -> String {
    script(text).unwrap_err().message().to_owned()
}

fn shown(statements: &str) -> Vec<Vec<serde_json::Value>> {
    let mut session = Session::new(CompileContext::default());
    let mut out = Vec::new();
    for parsed in parse_script(statements).unwrap() {
        if let Outcome::Table(table) = session.execute(&parsed, None).unwrap() {
            out = table.rows;
        }
    }
    out
}

fn rows(query: &str) -> Answer {
    answer(query).unwrap()
}

#[test]
fn views_and_with_fold_into_their_users() {
    let direct = script("INSERT INTO o SELECT id, UPPER(name) FROM e WHERE id > 1").unwrap().jobs[0].hash();
    let view = "CREATE VIEW v (a, b) AS SELECT id, UPPER(name) FROM e WHERE id > 1; INSERT INTO o SELECT a, b FROM v";
    let with = "INSERT INTO o WITH v AS (SELECT id, UPPER(name) AS n FROM e WHERE id > 1) SELECT id, n FROM v";
    let nested = "INSERT INTO o SELECT x.i, x.n FROM (SELECT id AS i, UPPER(name) AS n FROM e WHERE id > 1) AS x";
    for text in [view, with, nested] {
        assert_eq!(script(text).unwrap().jobs[0].hash(), direct, "{text}");
    }
}

#[test]
fn union_all_gives_branches_with_what_stands_above_it() {
    let text = "INSERT INTO o SELECT id + 1, name FROM (SELECT id, name FROM e UNION ALL SELECT 7, 'x' UNION ALL \
        SELECT id, 'y' FROM e) AS u WHERE id > 3";
    let plan = plan(text);
    assert_eq!(plan.matches("Source(").count(), 3, "{plan}");
    assert_eq!(plan.matches("+- Filter").count(), 3, "{plan}");
}

#[test]
fn what_keeps_state_is_refused_by_name() {
    for (query, name) in [
        ("SELECT id, MAX(name) FROM e GROUP BY id", "GROUP BY"),
        ("SELECT COUNT(*), 'x' FROM e", "aggregate function COUNT"),
        ("SELECT DISTINCT id, name FROM e", "SELECT DISTINCT"),
        ("SELECT id, name FROM e ORDER BY id", "ORDER BY"),
        ("SELECT id, name FROM e LIMIT 3", "LIMIT"),
        ("SELECT a.id, b.name FROM e AS a JOIN e AS b ON a.id = b.id", "a join of streams"),
        ("SELECT id, name FROM e UNION SELECT id, name FROM e", "UNION"),
    ] {
        let error = script(&format!("INSERT INTO o {query}")).unwrap_err();
        assert!(error.message().contains(name) && error.message().contains("keeps state"), "{query}: {error:?}");
        assert!(error.hint().unwrap().contains("part two"), "{query}: {error:?}");
    }
}

#[test]
fn hints_change_options_or_are_refused() {
    let text = "INSERT INTO o SELECT id, name FROM e /*+ OPTIONS('scan.startup.mode' = 'latest-offset') */";
    assert!(plan(text).contains("startup=[Latest]"));
    assert!(
        message("INSERT INTO o SELECT id /*+ OPTIONS('a' = 'b') */, name FROM e").contains("stands behind nothing")
    );
    assert!(
        message("INSERT INTO o SELECT id, name FROM e /*+ OPTIONS('nope' = 'b') */").contains("Unsupported options")
    );
}

#[test]
fn metadata_columns_are_known_by_their_connector() {
    let table = |column: &str| {
        format!(
            "CREATE TABLE m (id BIGINT, {column}) WITH ('connector' = 'kafka', 'topic' = 'm', \
             'properties.bootstrap.servers' = 'x:1', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');"
        )
    };
    let read = "INSERT INTO o SELECT id, CAST(x AS STRING) FROM m";
    for column in [
        "x BIGINT METADATA FROM 'offset'",
        "x STRING METADATA FROM 'topic' VIRTUAL",
        "x TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'",
    ] {
        assert!(script(&format!("{}{read}", table(column))).is_ok(), "{column}");
    }
    assert!(message(&format!("{}{read}", table("x INT METADATA FROM 'nope'"))).contains("Invalid metadata key 'nope'"));
    let write = "INSERT INTO m SELECT 1, 2";
    assert!(message(&format!("{}{write}", table("x BIGINT METADATA FROM 'offset'"))).contains("for writing"));
    assert!(
        message(&format!("{}{write}", table("x BIGINT METADATA FROM 'offset' VIRTUAL"))).contains("Different number")
    );
}

#[test]
fn tables_have_databases_and_may_be_altered() {
    let text = "CREATE DATABASE d; USE d; CREATE TABLE t LIKE default_database.o; ALTER TABLE t SET ('topic' = 'p'); \
        ALTER TABLE t RENAME TO u; INSERT INTO d.u SELECT id, name FROM default_database.e";
    let job = &script(text).unwrap().jobs[0];
    assert_eq!((job.sink_topic().as_str(), job.name.as_str()), ("p", "insert-into_default_catalog.d.u"));
    assert!(message("INSERT INTO nope.o SELECT 1, 'x'").contains("Object 'nope' not found"));
    assert!(message("USE nope").contains("A database with name [nope] does not exist"));
}

#[test]
fn show_and_describe_say_what_flink_says() {
    let table = "CREATE TABLE t (id INT, d DECIMAL(10, 2) NOT NULL, ts TIMESTAMP(3), pt AS PROCTIME(), PRIMARY KEY (id) NOT ENFORCED, \
        WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'print');";
    let described = shown(&format!("{table} DESCRIBE t"));
    assert_eq!(
        described[0],
        serde_json::from_str::<Vec<serde_json::Value>>(r#"["id", "INT", false, "PRI(id)", null, null]"#).unwrap()
    );
    assert_eq!(described[2][1], "TIMESTAMP(3) *ROWTIME*");
    assert_eq!(described[2][5], "`ts` - INTERVAL '5' SECOND");
    assert_eq!(
        (described[3][1].as_str(), described[3][4].as_str()),
        (Some("TIMESTAMP_LTZ(3) *PROCTIME*"), Some("AS PROCTIME()"))
    );
    let created = shown(&format!("{table} SHOW CREATE TABLE t"));
    assert!(created[0][0].as_str().unwrap().contains("CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED"));
    assert_eq!(shown(&format!("{table} CREATE VIEW v AS SELECT 1 AS a; SHOW TABLES")), [["t"], ["v"]]);
    assert_eq!(shown("SET 'a' = 'b'; SET"), [["a", "b"]]);
}

#[test]
fn bounded_queries_sort_join_and_combine() {
    let sorted = rows("SELECT a FROM (VALUES (2), (1), (3)) AS t (a) ORDER BY a DESC LIMIT 2");
    assert_eq!(format!("{:?}", sorted.columns[0]).matches(",\n").count(), 2);
    assert_eq!(sorted.rows, 2);
    let joined = rows("SELECT * FROM (VALUES (1), (2)) AS l (k) LEFT JOIN (VALUES (2, 'x')) AS r (k, y) ON l.k = r.k");
    let names: Vec<&str> = joined.schema.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((joined.rows, names), (2, vec!["k", "k0", "y"]));
    for (query, count) in [
        ("SELECT a FROM (VALUES (1), (1), (2)) AS t (a) INTERSECT SELECT 1", 1),
        ("SELECT a FROM (VALUES (1), (1), (2)) AS t (a) EXCEPT ALL SELECT 1", 2),
        ("SELECT DISTINCT a FROM (VALUES (1), (1), (2)) AS t (a)", 2),
        ("SELECT * FROM (VALUES (1)) AS l (k) NATURAL FULL JOIN (VALUES (2)) AS r (k)", 2),
        ("WITH x AS (SELECT 1 AS a), y AS (SELECT a + 1 AS b FROM x) SELECT * FROM x, y", 1),
    ] {
        assert_eq!(rows(query).rows, count, "{query}");
    }
}

#[test]
fn changes_go_only_where_they_are_taken() {
    let append = "CREATE TABLE a (id BIGINT, name STRING) WITH ('connector' = 'kafka', 'topic' = 'a', \
        'properties.bootstrap.servers' = 'x:1', 'format' = 'FORMAT');";
    let insert = |format: &str, from: &str| {
        format!("{} INSERT INTO a SELECT id, name FROM {from}", append.replace("FORMAT", format))
    };
    let wanted = "doesn't support consuming update and delete changes which is produced by node";
    assert!(message(&insert("json", "e")).contains(wanted));
    assert!(message(&insert("csv", "o")).contains("ChangelogNormalize(key=[id])"));
    assert!(script(&insert("debezium-json", "e")).is_ok());
    assert!(script(&insert("debezium-json", "o")).is_ok());
}

#[test]
fn explain_says_which_changes_pass_and_refuses_details_that_it_lacks() {
    let text = |what: &str| shown(&format!("{EVENTS}{OUT} EXPLAIN {what}"))[0][0].as_str().unwrap().to_owned();
    let plain = text("INSERT INTO o SELECT id, name FROM e WHERE id > 1");
    assert!(!plain.contains("changelogMode"), "{plain}");
    let modes = text("CHANGELOG_MODE INSERT INTO o SELECT id, name FROM e WHERE id > 1");
    assert!(modes.contains("Source(") && modes.contains(", changelogMode=[I,UA,D])"), "{modes}");
    assert!(modes.contains("key=[id], changelogMode=[NONE])") && modes.contains("Filter(changelogMode="), "{modes}");
    assert!(text("CHANGELOG_MODE SELECT id, name FROM e").contains("changelogMode=[I,UB,UA,D]"));
    assert!(text("CHANGELOG_MODE SELECT 1").contains("changelogMode=[I]"));
    for detail in ["ESTIMATED_COST", "PLAN_ADVICE", "JSON_EXECUTION_PLAN"] {
        let said = message(&format!("EXPLAIN {detail} SELECT id FROM e"));
        assert_eq!(said, format!("{detail} is not supported"));
    }
}

#[test]
fn a_table_is_made_of_a_query() {
    let with = "WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'x:1', 'format' = 'debezium-json')";
    let text = format!("CREATE TABLE t {with} AS SELECT id, UPPER(name) AS n, CAST(id AS DECIMAL(10, 2)) FROM e");
    let written = script(&text).unwrap();
    assert_eq!(written.jobs[0].name, "insert-into_default_catalog.default_database.t");
    assert!(written.jobs[0].explain().contains("Calc(select=[id, n, EXPR$2])"), "{}", written.jobs[0].explain());
    let columns: Vec<_> =
        shown(&format!("{EVENTS}{text}; DESCRIBE t")).into_iter().map(|mut row| row.remove(1)).collect();
    assert_eq!(columns, ["BIGINT", "STRING", "DECIMAL(10, 2)"]);
    for (clause, what) in [
        ("TEMPORARY TABLE t", "to create temporary table"),
        ("TABLE t (id BIGINT)", "to specify explicit columns"),
        ("TABLE t (PRIMARY KEY (id) NOT ENFORCED)", "primary key constraints"),
    ] {
        let said = message(&format!("CREATE {clause} {with} AS SELECT id FROM e"));
        assert_eq!(said, format!("CREATE TABLE AS SELECT syntax does not support {what} yet."));
    }
    // What cannot be filled is not made.
    let failed = format!("CREATE TABLE t {} AS SELECT id FROM e", with.replace("debezium-json", "json"));
    assert!(message(&failed).contains("doesn't support consuming update and delete changes"));
}

#[test]
fn topics_of_a_pattern_are_those_whose_whole_name_fits() {
    let table = |options: &str| {
        format!("CREATE TABLE p (id BIGINT) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = 'x', 'format' = 'json',
            'scan.startup.mode' = 'earliest-offset', {options}); INSERT INTO o SELECT id, 'x' FROM p")
    };
    let job = script(&table("'topic-pattern' = 'a\\.|b[0-9]+'")).unwrap().jobs.remove(0);
    assert!(job.finds("a.") && job.finds("b12") && !job.finds("ab1") && !job.finds("b1x") && !job.finds("ax"));
    assert!(job.source_topics().is_empty() && job.has_patterns());
    assert!(message(&table("'topic-pattern' = 'a('")).contains("'a(' is not a regular expression"));
    let both = message(&table("'topic' = 'a', 'topic-pattern' = 'a'"));
    assert_eq!(both, "Option 'topic' and 'topic-pattern' shouldn't be set together.");
}

#[test]
fn tables_that_nothing_uses_are_checked_too() {
    let error = script("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 't', 'nope' = 'x')").unwrap_err();
    assert!(error.message().contains("properties.bootstrap.servers"), "{error:?}");
    let error = script("CREATE TABLE t (a INT) WITH ('connector' = 'print', 'nope' = 'x')").unwrap_err();
    assert!(error.message().contains("can only be used as a sink") || error.message().contains("nope"), "{error:?}");
}

#[test]
fn a_tables_row_column_is_reached_into_by_its_name_alone() {
    let table = "CREATE TABLE r (c ROW<id INT, n ROW<s STRING>, a ARRAY<ARRAY<INT>>>) WITH ('connector' = 'kafka', 'topic' = 'r', \
        'properties.bootstrap.servers' = 'x:1', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');";
    for select in ["c.id, c.n.s", "r.c.id, UPPER(c.n.s)", "c.a[1][2], CAST(c.a[2][1] AS STRING)"] {
        let done = script(&format!("{table} INSERT INTO o SELECT {select} FROM r"));
        assert!(done.is_ok(), "{select}: {done:?}");
    }
    let said = message("INSERT INTO o SELECT q.i, 'x' FROM (SELECT CAST(ROW(1) AS ROW<i INT>) AS q) AS t");
    assert_eq!(said, "Table 'q' not found");
}

#[test]
fn proctime_may_be_read_and_written() {
    let times = "CREATE TABLE times (t TIMESTAMP_LTZ(3)) WITH ('connector' = 'blackhole'); INSERT INTO times";
    for query in [
        "SELECT pt FROM e",
        "SELECT pt FROM (SELECT pt FROM e) AS x WHERE pt > TIMESTAMP '2020-01-01 00:00:00'",
        "SELECT pt FROM e UNION ALL SELECT NOW()",
    ] {
        let jobs = script(&format!("{times} {query}")).unwrap_or_else(|error| panic!("{query}: {error:?}")).jobs;
        assert_eq!(jobs.len(), 1, "{query}");
    }
    let found = rows("SELECT YEAR(p) > 2000 FROM (SELECT PROCTIME() AS p) AS t");
    assert!(found.columns[0].as_any().downcast_ref::<arrow::array::BooleanArray>().unwrap().value(0));
}
