//! Which words are names without backticks: `golden/flink-live/words.txt` says it of every word that the real Flink's
//! parser knows (`reserved`, `context` for reserved words that may stand for a column behind SELECT, `free`).

use thm_sql::CompileContext;
use thm_sql::parser::parse_script;
use thm_sql::planner::{Session, bounded::answer};

const WORDS: &str = include_str!("../golden/flink-live/words.txt");

/// Queries that use a word as a name, and whether one that stands for a value of the session may stand there.
const QUERIES: &[(&str, bool)] = &[
    ("SELECT 1 AS WORD", false),
    ("SELECT 1 WORD", false),
    ("SELECT WORD FROM (VALUES (1)) AS t(`WORD`)", true),
    ("SELECT t.WORD FROM (VALUES (1)) AS t(`WORD`)", false),
    ("SELECT 1 FROM (VALUES (1)) AS t(WORD)", false),
    ("SELECT 1 FROM (VALUES (1)) AS WORD", false),
    ("SELECT 1 FROM (VALUES (1)) WORD", false),
    ("WITH WORD AS (SELECT 1) SELECT 1", false),
    ("WITH a (WORD) AS (SELECT 1) SELECT 1", false),
    ("SELECT CAST(ROW(1) AS ROW<WORD INT>)", false),
];

/// Statements that use a word as a name.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE WORD (a INT) WITH ('connector' = 'datagen')",
    "CREATE TABLE a (WORD INT) WITH ('connector' = 'datagen')",
    "CREATE VIEW WORD AS SELECT 1 AS a; DROP VIEW WORD",
    "CREATE TABLE a (`WORD` INT) WITH ('connector' = 'blackhole'); INSERT INTO a (WORD) SELECT 1",
];

fn executes(text: &str) -> Result<(), String> {
    let mut session = Session::new(CompileContext::default());
    for statement in parse_script(text).map_err(|error| error.to_string())? {
        session.execute(&statement, None).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn words_are_reserved_where_flink_reserves_them() {
    let mut wrong = Vec::new();
    for (word, kind) in WORDS.lines().filter_map(|line| line.split_once(' ')) {
        for (form, context) in QUERIES {
            let sql = form.replace("WORD", word);
            let free = kind == "free" || *context && kind == "context";
            match answer(&sql) {
                Ok(_) if !free => wrong.push(format!("taken: {sql}")),
                Err(error) if free => wrong.push(format!("refused: {sql}: {error}")),
                _ => {}
            }
        }
        for form in STATEMENTS {
            let sql = form.replace("WORD", word);
            match executes(&sql) {
                Ok(()) if kind != "free" => wrong.push(format!("taken: {sql}")),
                Err(error) if kind == "free" => wrong.push(format!("refused: {sql}: {error}")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
