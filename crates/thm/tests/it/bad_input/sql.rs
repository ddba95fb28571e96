//! SQL with an error: line, column, caret, hint, exit code 2, and nothing was started.

use super::bare::run_in;

const SOURCE: &str = "CREATE TABLE s (id BIGINT, name STRING) WITH ('connector' = 'kafka', 'topic' = 't',\n\
                      'properties.bootstrap.servers' = 'redpanda:9092', 'format' = 'debezium-json', \
                      'scan.startup.mode' = 'earliest-offset');\n";
const SINK: &str = "CREATE TABLE o (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH (\n\
                    'connector' = 'upsert-kafka', 'topic' = 'o', 'properties.bootstrap.servers' = 'redpanda:9092',\n\
                    'key.format' = 'json', 'value.format' = 'json');\n";

/// What is wrong (after the five lines of the tables), where, and words that message and hint must have.
const CASES: &[(&str, &str, &[&str])] = &[
    ("INSERT INTO o SELEC id, name FROM s;", "6:15", &["SELEC", "SELECT"]),
    ("INSERT INTO o SELECT id, 'abc FROM s;", "6:26", &["Unterminated string literal", "single quotes"]),
    ("INSERT INTO o SELECT id,\n  nam FROM s;", "7:3", &["'nam'", "Did you mean 'name'?"]),
    ("INSERT INTO o SELECT id, TRUNCAT(name) FROM s;", "6:26", &["TRUNCAT", "Did you mean TRUNCATE?"]),
    ("INSERT INTO o SELECT id, name FROM nothere;", "6:36", &["nothere", "CREATE TABLE"]),
    ("INSERT INTO o SELECT name, id FROM s;", "6:1", &["sink column 'id'", "CAST"]),
    ("INSERT INTO o SELECT id FROM s;", "6:1", &["Different number of columns", "one value per column"]),
    ("INSERT INTO o SELECT id + name, name FROM s;", "6:22", &["BIGINT", "VARCHAR", "Cast texts"]),
    (
        "INSERT INTO o SELECT id, name FROM s GROUP BY id, name;",
        "6:",
        &["GROUP BY keeps state", "not supported on a stream yet"],
    ),
    ("CREATE TABLE t (id BIGNT) WITH ('connector' = 'kafka');", "6:20", &["BIGNT"]),
    ("CREATE TABLE t (id BIGINT) WITH ('connector' = 'pulsar');", "6:48", &["'pulsar'", "upsert-kafka"]),
    (
        "CREATE TABLE t (id BIGINT) WITH ('connector' = 'kafka', 'topic' = 't',\n\
         'properties.bootstrap.servers' = 'r:9', 'format' = 'json', 'scan.startup.mod' = 'x');",
        "7:60",
        &["scan.startup.mod", "Remove the option"],
    ),
    (
        "CREATE TABLE t (id BIGINT) WITH ('connector' = 'kafka', 'topic' = 't',\n\
         'properties.bootstrap.servers' = 'r:9', 'format' = 'avro');",
        "7:52",
        &["'avro'", "Available formats"],
    ),
    (
        "CREATE TABLE t (id BIGINT) WITH ('connector' = 'kafka', 'format' = 'json');",
        "6:14",
        &["required options", "properties.bootstrap.servers"],
    ),
];

#[test]
fn every_kind_shows_its_place_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thm.toml"), "connectors = []\nsql = [\"job.sql\"]\ndata_dir = \"data\"\n")
        .unwrap();
    for (statement, place, words) in CASES {
        // The statement after the tables is never the only one: the place counts over the whole file.
        let used = if statement.starts_with("CREATE") { "\nINSERT INTO o SELECT id, 'a' FROM t;" } else { "" };
        std::fs::write(folder.path().join("job.sql"), format!("{SOURCE}{SINK}{statement}{used}\n")).unwrap();
        let (code, text) = run_in(folder.path());
        // The report is wrapped at the terminal's width.
        let flat = text.replace("│", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, 2, "{statement}: {text}");
        assert!(flat.contains("THM-SQL-001") && flat.contains(&format!("job.sql:{place}")), "{place}: {text}");
        assert!(text.contains('┬') && text.contains("help:"), "a caret and a hint: {text}");
        assert!(words.iter().all(|word| flat.contains(word)), "{words:?}: {text}");
        assert!(!folder.path().join("data").exists(), "nothing was started");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thm.toml"), "connectors = []\nsql = [\"job.sql\"]\ndata_dir = \"data\"\n")
        .unwrap();
    let (code, text) = run_in(folder.path());
    assert!(code == 2 && text.contains("THM-CFG-001") && text.contains("job.sql: No such file"), "{text}");
    std::fs::write(folder.path().join("job.sql"), b"\xff\xfe").unwrap();
    let (code, text) = run_in(folder.path());
    assert!(code == 2 && text.contains("THM-CFG-001") && text.contains("UTF-8"), "{text}");
    assert!(!folder.path().join("data").exists(), "nothing was started");
}
