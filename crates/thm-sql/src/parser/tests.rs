//! Statements of the dialect, and texts that are none: never a panic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::ast::Statement;
use super::*;

fn error(text: &str) -> SqlDiagnostic {
    parse_script(text).unwrap_err()
}

#[test]
fn reads_the_statements_of_a_script() {
    let text = "SET 'a.b' = 'c'; -- comment\nADD JAR '/x.jar';\nDROP TABLE IF EXISTS `t`;\n\
        CREATE TEMPORARY TABLE t (id BIGINT NOT NULL, `order` STRING, p AS PROCTIME(), ts TIMESTAMP(3) WITH LOCAL TIME ZONE,\n\
        WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'kafka');\n\
        INSERT INTO default_catalog.default_database.t (id) SELECT 1;\n\
        EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; INSERT INTO t SELECT 2; END; RESET";
    let statements = parse_script(text).unwrap();
    assert_eq!(statements.len(), 7);
    let Statement::CreateTable(table) = &statements[3].statement else { panic!("{:?}", statements[3]) };
    assert_eq!((table.columns.len(), table.primary_key.len()), (4, 1));
    let Statement::StatementSet(inserts) = &statements[5].statement else { panic!("{:?}", statements[5]) };
    assert_eq!(inserts.len(), 2);
}

#[test]
fn refusals_say_where_and_what_to_write() {
    let cases = [
        ("FOO BAR", 1, 1, "INSERT INTO"),
        ("SET a = 'b'", 1, 5, "single quotes"),
        ("CREATE TABLE t (a INT) WITH () AS SELECT 1", 1, 14, "INSERT INTO"),
        ("EXPLAIN CHANGELOG_MODE, ESTIMATED_COST SELECT 1", 1, 25, "CHANGELOG_MODE"),
        ("CREATE TABLE t (value INT) WITH ()", 1, 17, "`value`"),
        ("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND))", 1, 15, "part two"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a)) WITH ()", 1, 39, "NOT ENFORCED"),
        ("INSERT INTO t SELECT /*+ NOPE('a'='b') */ 1", 1, 22, "correct its name"),
        ("\n  INSERT OVERWRITE t SELECT 1", 2, 10, "INSERT INTO"),
    ];
    for (text, line, column, hint) in cases {
        let error = error(text);
        assert_eq!((error.line(), error.column()), (line, column), "{text}: {error:?}");
        assert!(error.hint().unwrap().contains(hint), "{text}: {error:?}");
    }
}

#[test]
fn every_statement_of_the_dialect_is_read() {
    let texts = [
        "CREATE TEMPORARY VIEW IF NOT EXISTS v (a, b) COMMENT 'x' AS WITH w AS (SELECT 1) SELECT * FROM w",
        "DROP TEMPORARY VIEW IF EXISTS v",
        "ALTER TABLE IF EXISTS t RENAME TO u",
        "ALTER TABLE t SET ('a' = 'b')",
        "ALTER TABLE t RESET ('a', 'b')",
        "ALTER VIEW v AS SELECT 1",
        "CREATE DATABASE IF NOT EXISTS d COMMENT 'x' WITH ('a' = 'b')",
        "DROP DATABASE IF EXISTS d CASCADE",
        "USE d",
        "USE CATALOG c",
        "SHOW TABLES FROM d NOT LIKE 'a%'",
        "SHOW FULL MODULES",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE VIEW v",
        "DESCRIBE EXTENDED c.d.t",
        "EXPLAIN CHANGELOG_MODE SELECT 1",
        "CREATE TABLE IF NOT EXISTS t COMMENT 'x' WITH ('a' = 'b') AS SELECT 1 AS a",
        "EXPLAIN PLAN FOR INSERT INTO t VALUES (1)",
        "EXPLAIN STATEMENT SET BEGIN INSERT INTO t VALUES (1); END",
        "SET",
        "CREATE TABLE t LIKE u (EXCLUDING ALL INCLUDING OPTIONS)",
        "CREATE TABLE t (a INT METADATA FROM 'offset' VIRTUAL COMMENT 'x', b AS a + 1) COMMENT 'y' WITH ('a' = 'b')",
        "INSERT INTO t PARTITION (a = 1) (b) SELECT 1",
        "INSERT INTO t /*+ OPTIONS('a' = 'b') */ SELECT /*+ LOOKUP('table' = 'u') */ 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "VALUES (1), (2)",
    ];
    for text in texts {
        let parsed = parse_script(&format!("{text};")).unwrap();
        assert_eq!(parsed.len(), 1, "{text}");
        assert_eq!(parsed[0].text, text);
    }
}

#[test]
fn grammar_errors_carry_their_place() {
    let error = error("INSERT INTO t\nSELECT a, FROM )");
    assert_eq!(error.line(), 2, "{error:?}");
    assert!(error.message().starts_with("Encountered"), "{error:?}");
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    let text = format!("INSERT INTO t SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
    assert!(parse_script(&text).is_err());
    let text = format!("INSERT INTO t SELECT 1{}", "+1".repeat(60_000));
    assert!(parse_script(&text).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = parse_script(&text).map_err(|error| error.in_text("x.sql", &std::sync::Arc::new(text.clone())));
    }

    #[test]
    fn no_shuffled_words_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "SELECT", "CREATE", "TABLE", "t", "(", ")", ",", ";", "'x'", "INSERT", "INTO", "WITH", "=", "FROM", "AS", "OF", "FOR",
        "SYSTEM_TIME", "JOIN", "LEFT", "ON", "CASE", "WHEN", "END", "1.5", "CAST", "DECIMAL", "WATERMARK", "PRIMARY", "KEY", "`a b`",
        "EXECUTE", "STATEMENT", "SET", "BEGIN", "LOCAL", "TIME", "ZONE", "TIMESTAMP", "/*+ x */", "--\n", ".", "*", "-", "é",
    ]), 0..40)) {
        let _ = parse_script(&words.join(" "));
    }
}
