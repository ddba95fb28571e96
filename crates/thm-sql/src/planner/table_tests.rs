//! ALTER TABLE and CREATE TABLE … LIKE, seen through SHOW CREATE TABLE.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::parser::parse_script;

/// What SHOW CREATE TABLE says of `t` after some statements, from its columns on, or the refusal of the last one.
fn shown(statements: &str) -> Result<String, String> {
    let mut session = Session::new(CompileContext::default());
    let mut shown = String::new();
    for statement in parse_script(&format!("{statements}; SHOW CREATE TABLE t")).unwrap() {
        match session.execute(&statement, None).map_err(|error| error.message().to_owned())? {
            Outcome::Table(table) => shown = table.rows[0][0].as_str().unwrap().to_owned(),
            _ => continue,
        }
    }
    let columns = shown.split_once("(\n").unwrap().1;
    Ok(columns.replace("\n", "").replace("  ", " "))
}

const T: &str = "CREATE TABLE t (a INT, b STRING, c AS a + 1, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (a) NOT ENFORCED) \
    WITH ('connector' = 'blackhole')";

#[test]
fn columns_key_and_watermark_of_a_table_are_altered() {
    let plain = "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'blackhole')";
    for (changes, wanted) in [
        ("ADD x INT FIRST", " `x` INT, `a` INT, `b` VARCHAR(2147483647)) WITH"),
        ("ADD (x INT AFTER a, y AS a + 1)", " `a` INT, `x` INT, `b` VARCHAR(2147483647), `y` AS `a` + 1) WITH"),
        (
            "ADD PRIMARY KEY (a) NOT ENFORCED",
            " `a` INT NOT NULL, `b` VARCHAR(2147483647), CONSTRAINT `PK_a` PRIMARY KEY (`a`) NOT ENFORCED) WITH",
        ),
        ("MODIFY a BIGINT COMMENT 'c' AFTER b", " `b` VARCHAR(2147483647), `a` BIGINT COMMENT 'c') WITH"),
        ("DROP b", " `a` INT) WITH"),
        ("RENAME a TO z", " `z` INT, `b` VARCHAR(2147483647)) WITH"),
    ] {
        let found = shown(&format!("{plain}; ALTER TABLE t {changes}")).unwrap();
        assert!(found.starts_with(wanted), "{changes}: {found}");
    }
    let found = shown(&format!("{T}; ALTER TABLE t DROP WATERMARK; ALTER TABLE t DROP CONSTRAINT PK_a")).unwrap();
    assert!(
        found.starts_with(" `a` INT NOT NULL, `b`") && !found.contains("WATERMARK") && !found.contains("KEY"),
        "{found}"
    );
}

#[test]
fn a_change_that_does_not_fit_leaves_the_table_as_it_was() {
    for (change, wanted) in [
        ("ADD b INT", "Try to add a column `b` which already exists in the table."),
        ("ADD x INT AFTER z", "Referenced column `z` by 'AFTER' does not exist in the table."),
        ("ADD PRIMARY KEY (b) NOT ENFORCED", "The base table has already defined the primary key constraint [`a`]."),
        ("MODIFY z INT", "Try to modify a column `z` which does not exist in the table."),
        ("DROP a", "The column `a` is used as the primary key."),
        ("DROP ts", "The column `ts` is referenced by watermark expression."),
        ("RENAME a TO b", "The column `b` already existed in table schema."),
        ("RENAME a TO z", "The column `a` is referenced by computed column `c`."),
        ("MODIFY ts STRING", "Invalid data type of time field for watermark definition."),
        ("RESET ('connector')", "ALTER TABLE RESET does not support changing 'connector'"),
    ] {
        let found = shown(&format!("{T}; ALTER TABLE t {change}")).unwrap_err();
        assert!(found.contains(wanted), "{change}: {found}");
    }
}

#[test]
fn like_takes_over_what_its_rules_say() {
    let base = T.replace("TABLE t", "TABLE base");
    for (rules, wanted) in [
        (
            "LIKE base (EXCLUDING GENERATED EXCLUDING CONSTRAINTS)",
            " `a` INT NOT NULL, `b` VARCHAR(2147483647), `ts` TIMESTAMP(3), WATERMARK",
        ),
        (
            "(c AS a + 2) LIKE base (OVERWRITING GENERATED)",
            " `a` INT NOT NULL, `b` VARCHAR(2147483647), `c` AS `a` + 2, `ts`",
        ),
    ] {
        let found = shown(&format!("{base}; CREATE TABLE t {rules}")).unwrap();
        assert!(found.starts_with(wanted), "{rules}: {found}");
    }
    for (rules, wanted) in [
        ("(c AS a + 2) LIKE base", "A column named 'c' already exists in the base table."),
        ("LIKE base (OVERWRITING CONSTRAINTS)", "Illegal merging strategy 'OVERWRITING' for 'CONSTRAINTS' option."),
        ("LIKE base (INCLUDING OPTIONS EXCLUDING OPTIONS)", "Each like option feature can be declared only once."),
        ("LIKE base (EXCLUDING OPTIONS)", "Table options do not contain an option key 'connector'"),
        (
            "WITH ('connector' = 'print') LIKE base (INCLUDING OPTIONS)",
            "There already exists an option ['connector' -> 'blackhole']",
        ),
    ] {
        let found = shown(&format!("{base}; CREATE TABLE t {rules}")).unwrap_err();
        assert!(found.starts_with(wanted), "{rules}: {found}");
    }
}
