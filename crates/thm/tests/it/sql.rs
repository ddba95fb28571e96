//! `thm sql`: a file and a shell over constants and files, with the real binary.

use std::io::Write;
use std::process::{Command, Stdio};

fn thm(arguments: &[&str], input: &str) -> (bool, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_thm"))
        .arg("sql")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[test]
fn a_shell_answers_queries_and_goes_on_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "1,one\n2,two\n").unwrap();
    let input = format!(
        "CREATE TABLE t (id INT, name STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n\
         SELECT nope FROM t;\nSELECT id + 1 AS n,\n UPPER(name) AS u FROM t WHERE id > 1;\n\
         SET 'sql-client.execution.result-mode' = 'changelog';\nSELECT 1 AS a UNION ALL SELECT 2;\nSHOW TABLES;\nQUIT;\n",
        folder.path().display()
    );
    let (ok, out, errors) = thm(&[], &input);
    assert!(!ok && errors.contains("Column 'nope' not found"), "{errors}");
    for line in ["| n |   u |", "| 3 | TWO |", "| op | a |", "| +I | 2 |", "|          t |"] {
        assert!(out.contains(line), "{line} in {out}");
    }
}

#[test]
fn a_file_is_checked_explained_and_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.sql");
    let sql = "CREATE TABLE o (a INT, b STRING) WITH ('connector' = 'blackhole');\n\
        INSERT INTO o SELECT a, b FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b) WHERE a > 1;";
    std::fs::write(&file, sql).unwrap();
    let name = file.to_str().unwrap();
    assert!(thm(&[name, "--check"], "").1.contains("1 jobs are in order"));
    assert!(thm(&[name, "--explain"], "").1.contains("Sink(table=[o]"));
    assert!(thm(&[name, "--dry-run", "5"], "").1.contains("| +I | 2 | y |"));
    std::fs::write(&file, sql.replace("a, b FROM", "a, c FROM")).unwrap();
    let (ok, _, errors) = thm(&[name, "--check"], "");
    assert!(!ok && errors.contains("Column 'c' not found") && errors.contains("job.sql:2"), "{errors}");
}

#[test]
fn a_project_says_which_look_ups_are_fed_by_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("connectors")).unwrap();
    let source = |tables: &str| {
        format!(
            r#"{{"name": "pg", "config": {{"connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "postgres", "database.dbname": "thm", "database.user": "app",
            "database.password": "x", "topic.prefix": "cdc", "table.include.list": "{tables}"}}}}"#
        )
    };
    // Port 9 is nobody's.
    write("thm.toml", "sql = [\"job.sql\"]\n[server]\nconnect_port = 9\n");
    let sql = "CREATE TABLE e (id INT, pt AS PROCTIME()) WITH ('connector' = 'kafka', 'topic' = 'other.events',
          'format' = 'json', 'properties.bootstrap.servers' = 'x', 'scan.startup.mode' = 'earliest-offset');
        CREATE TABLE d (id INT, name STRING) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://postgres/thm',
          'table-name' = 'content');
        CREATE TABLE o (id INT, name STRING) WITH ('connector' = 'blackhole');
        INSERT INTO o SELECT e.id, d.name FROM e LEFT JOIN d FOR SYSTEM_TIME AS OF e.pt ON d.id = e.id;";
    write("job.sql", sql);
    let thm = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thm"));
        command.args(arguments).current_dir(folder.path());
        for name in ["THM_CONFIG", "THM_CONNECT", "THM_BOOTSTRAP"] {
            command.env_remove(name);
        }
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    write("connectors/pg.json", &source("public.content"));
    let (out, notes) = thm(&["sql", "job.sql", "--check"]);
    assert!(out.contains("look-up d is fed by the WAL, through cdc.public.content"), "{out}");
    assert!(notes.contains("by the connectors of thm.toml (no engine answers at http://127.0.0.1:9)"), "{notes}");
    assert!(thm(&["sql", "job.sql", "--explain"]).0.contains("fed by=[topic cdc.public.content of public.content]"));
    write("connectors/pg.json", &source("public.other"));
    assert!(thm(&["sql", "job.sql", "--check"]).0.contains("look-up d asks its database"));
    assert!(thm(&["run", "--check"]).0.contains("1 SQL jobs and 1 connectors are in order"));
}

#[test]
fn a_shell_needs_no_semicolon_to_help_or_leave_and_gives_programs_json() {
    let (ok, out, errors) = thm(&[], "help\nSELECT 1 AS a,\n 'x' AS b;\nquit\nSELECT 2;\n");
    assert!(
        ok && out.contains("QUIT or EXIT") && out.contains("| 1 | x |") && !out.contains("| 2 |"),
        "{out} {errors}"
    );
    let input = "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1', 'fields.a.min' = '7',\n\
        'fields.a.max' = '7');\nSELECT a, 'x' AS b, a = 7 AS c, CAST(NULL AS INT) AS d FROM t;\nSHOW TABLES;\n";
    let (ok, out, errors) = thm(&["--output", "json"], input);
    assert!(ok, "{errors}");
    let wanted = [r#"{"a":7,"b":"x","c":true,"d":null}"#, r#"{"table name":"t"}"#];
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
    // The same INSERT again is the same job.
    let insert = "CREATE TABLE o (a INT) WITH ('connector' = 'blackhole');\nINSERT INTO o VALUES (1);\nINSERT INTO o VALUES (2);\n";
    let (_, _, notes) = thm(&[], insert);
    assert!(notes.contains("is planned, not run") && !notes.contains("o-2"), "{notes}");
}
