//! One statement: which it is, and Flink's DDL clause by clause.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SetExpr};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

use super::Cursor;
use super::ast::{Column, ColumnKind, CreateTable, Insert, Spanned, Statement};
use crate::error::{SqlDiagnostic, SqlResult};

/// Flink's names for the places where tables live.
const CATALOG: [&str; 2] = ["default_catalog", "default_database"];

/// Reads one statement, up to but without its semicolon.
pub(super) fn parse(cursor: &mut Cursor) -> SqlResult<Statement> {
    if cursor.peek_word("SET") {
        return set(cursor);
    }
    if cursor.eat_words(&["RESET"]) {
        let key = if matches!(cursor.peek().token, Token::SingleQuotedString(_)) {
            Some(cursor.text("an option")?)
        } else {
            None
        };
        return Ok(Statement::Reset(key));
    }
    if cursor.eat_words(&["ADD", "JAR"]) {
        return Ok(Statement::AddJar(cursor.text("the path of a jar")?));
    }
    if cursor.eat_words(&["DROP", "TABLE"]) || cursor.eat_words(&["DROP", "TEMPORARY", "TABLE"]) {
        let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
        return Ok(Statement::DropTable { name: table_name(cursor)?, if_exists });
    }
    if cursor.eat_words(&["CREATE", "TABLE"]) || cursor.eat_words(&["CREATE", "TEMPORARY", "TABLE"]) {
        return create_table(cursor).map(|table| Statement::CreateTable(Box::new(table)));
    }
    if cursor.peek_word("INSERT") {
        return insert(cursor).map(|insert| Statement::Insert(Box::new(insert)));
    }
    if cursor.peek_words(&["EXECUTE", "STATEMENT", "SET"]) || cursor.peek_words(&["BEGIN", "STATEMENT", "SET"]) {
        return statement_set(cursor);
    }
    if cursor.eat_words(&["EXECUTE"]) && cursor.peek_word("INSERT") {
        return insert(cursor).map(|insert| Statement::Insert(Box::new(insert)));
    }
    Err(refuse(cursor))
}

/// What to say of a statement that we know and lack, or do not know.
fn refuse(cursor: &Cursor) -> SqlDiagnostic {
    const LACKING: &[(&[&str], &str)] = &[
        (&["CREATE", "VIEW"], "Write the view's query as a subquery."),
        (&["CREATE", "TEMPORARY", "VIEW"], "Write the view's query as a subquery."),
        (&["CREATE"], "Only CREATE TABLE works so far."),
        (&["DROP"], "Only DROP TABLE works so far."),
        (&["ALTER"], "Change the CREATE TABLE statement instead."),
        (&["SELECT"], "Write INSERT INTO a table of the connector 'upsert-kafka' or 'kafka' before the SELECT."),
        (&["WITH"], "Write INSERT INTO … SELECT with a subquery."),
        (&["UPDATE"], "Jobs only INSERT; updates follow from the changes of the source."),
        (&["DELETE"], "Jobs only INSERT; deletes follow from the changes of the source."),
        (&["EXPLAIN"], "Use the plan that the job's status shows."),
        (&["USE"], "All tables live in default_catalog.default_database."),
        (&["SHOW"], "This belongs to an interactive shell."),
        (&["DESCRIBE"], "This belongs to an interactive shell."),
    ];
    let known = LACKING.iter().find(|(words, _)| cursor.peek_words(words));
    match known {
        Some((words, hint)) => {
            SqlDiagnostic::new(cursor.span(), format!("{} is not supported yet", words.join(" "))).with_hint(*hint)
        }
        None => cursor
            .expected("a statement")
            .with_hint("Write SET, RESET, ADD JAR, CREATE TABLE, DROP TABLE, INSERT INTO or EXECUTE STATEMENT SET."),
    }
}

fn set(cursor: &mut Cursor) -> SqlResult<Statement> {
    cursor.expect_words(&["SET"])?;
    let key = cursor.text("an option's name")?;
    cursor.expect(&Token::Eq)?;
    let value = cursor.text("an option's value")?;
    Ok(Statement::Set { key, value })
}

fn statement_set(cursor: &mut Cursor) -> SqlResult<Statement> {
    if !cursor.eat_words(&["EXECUTE", "STATEMENT", "SET", "BEGIN"]) {
        cursor.expect_words(&["BEGIN", "STATEMENT", "SET"])?;
        cursor.expect(&Token::SemiColon)?;
    }
    let mut inserts = Vec::new();
    while !cursor.eat_words(&["END"]) {
        if !cursor.peek_word("INSERT") {
            return Err(cursor.expected("INSERT or END").with_hint("A statement set holds INSERT statements only."));
        }
        inserts.push(insert(cursor)?);
        cursor.expect(&Token::SemiColon)?;
    }
    if inserts.is_empty() {
        return Err(SqlDiagnostic::new(cursor.span(), "the statement set is empty")
            .with_hint("Put at least one INSERT between BEGIN and END."));
    }
    Ok(Statement::StatementSet(inserts))
}

fn insert(cursor: &mut Cursor) -> SqlResult<Insert> {
    let span = cursor.span();
    cursor.expect_words(&["INSERT"])?;
    if cursor.peek_word("OVERWRITE") {
        return Err(SqlDiagnostic::new(cursor.span(), "INSERT OVERWRITE is not supported")
            .with_hint("Write INSERT INTO; a topic is never overwritten."));
    }
    cursor.expect_words(&["INTO"])?;
    let table = table_name(cursor)?;
    if cursor.peek_word("PARTITION") {
        return Err(SqlDiagnostic::new(cursor.span(), "PARTITION is not supported")
            .with_hint("Name the columns in a list after the table."));
    }
    let columns = if cursor.peek().token == Token::LParen && !cursor.peek_nth_is_query() {
        identifiers(cursor)?
    } else {
        Vec::new()
    };
    let query = cursor.grammar(Parser::parse_query)?;
    if !matches!(
        *query.body,
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
    ) {
        return Err(SqlDiagnostic::new(span, "INSERT needs a query").with_hint("Write INSERT INTO t SELECT …."));
    }
    Ok(Insert { table, columns, query, span })
}

impl Cursor {
    /// Whether a parenthesis opens a query instead of a column list.
    fn peek_nth_is_query(&self) -> bool {
        ["SELECT", "WITH", "VALUES"].iter().any(|word| super::is_word(&self.parser.peek_nth_token_ref(1).token, word))
            || self.parser.peek_nth_token_ref(1).token == Token::LParen
    }
}

fn create_table(cursor: &mut Cursor) -> SqlResult<CreateTable> {
    let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = table_name(cursor)?;
    let mut table = CreateTable {
        name,
        if_not_exists,
        columns: Vec::new(),
        primary_key: Vec::new(),
        watermark: None,
        options: Vec::new(),
    };
    if cursor.peek().token != Token::LParen {
        return Err(cursor.expected("\"(\"").with_hint("List the columns; schemas are not taken from elsewhere."));
    }
    cursor.expect(&Token::LParen)?;
    loop {
        table_element(cursor, &mut table)?;
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    if cursor.eat_words(&["COMMENT"]) {
        cursor.text("a comment")?;
    }
    for clause in ["PARTITIONED", "DISTRIBUTED", "LIKE", "AS"] {
        if cursor.peek_word(clause) {
            return Err(SqlDiagnostic::new(cursor.span(), format!("{clause} of a table is not supported yet"))
                .with_hint("Leave it out and write columns and options in full."));
        }
    }
    cursor.expect_words(&["WITH"])?;
    table.options = options(cursor)?;
    Ok(table)
}

fn table_element(cursor: &mut Cursor, table: &mut CreateTable) -> SqlResult<()> {
    if cursor.eat_words(&["WATERMARK", "FOR"]) {
        let column = cursor.grammar(|parser| parser.parse_identifier())?;
        cursor.expect_words(&["AS"])?;
        let strategy = cursor.grammar(Parser::parse_expr)?;
        if table.watermark.replace((column, strategy)).is_some() {
            return Err(cursor.expected("one WATERMARK only"));
        }
        return Ok(());
    }
    if cursor.eat_words(&["CONSTRAINT"]) {
        cursor.grammar(|parser| parser.parse_identifier())?;
        cursor.expect_words(&["PRIMARY"])?;
        return primary_key(cursor, table);
    }
    if cursor.peek_words(&["PRIMARY", "KEY"]) {
        cursor.expect_words(&["PRIMARY"])?;
        return primary_key(cursor, table);
    }
    if cursor.peek_word("UNIQUE") {
        return Err(SqlDiagnostic::new(cursor.span(), "UNIQUE constraint is not supported yet")
            .with_hint("Write PRIMARY KEY (…) NOT ENFORCED."));
    }
    column(cursor, table)
}

fn primary_key(cursor: &mut Cursor, table: &mut CreateTable) -> SqlResult<()> {
    let span = cursor.span();
    cursor.expect_words(&["KEY"])?;
    let key = identifiers(cursor)?;
    not_enforced(cursor)?;
    set_key(table, key, span)
}

fn set_key(table: &mut CreateTable, key: Vec<Ident>, span: Span) -> SqlResult<()> {
    if !table.primary_key.is_empty() {
        return Err(SqlDiagnostic::new(span, "Duplicate primary key definition"));
    }
    table.primary_key = key;
    Ok(())
}

fn not_enforced(cursor: &mut Cursor) -> SqlResult<()> {
    if cursor.eat_words(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    Err(cursor
        .expected("NOT ENFORCED")
        .with_hint("Flink doesn't own the data, so a primary key is not checked: write PRIMARY KEY (…) NOT ENFORCED."))
}

fn column(cursor: &mut Cursor, table: &mut CreateTable) -> SqlResult<()> {
    let name = cursor.grammar(|parser| parser.parse_identifier())?;
    if cursor.eat_words(&["AS"]) {
        let expression = cursor.grammar(Parser::parse_expr)?;
        comment(cursor)?;
        table.columns.push(Column { name, kind: ColumnKind::Computed(Box::new(expression)) });
        return Ok(());
    }
    let start = cursor.span();
    let data_type = cursor.grammar(Parser::parse_data_type)?;
    let span = start;
    if cursor.peek_word("METADATA") {
        return Err(SqlDiagnostic::new(cursor.span(), "metadata columns are not supported yet").with_hint(
            "Remove the column; commit time and position travel in the headers thm.ts and thm.pos of each record.",
        ));
    }
    let mut nullable = true;
    if cursor.eat_words(&["NOT", "NULL"]) {
        nullable = false;
    } else {
        let _ = cursor.eat_words(&["NULL"]);
    }
    if cursor.eat_words(&["PRIMARY", "KEY"]) {
        not_enforced(cursor)?;
        set_key(table, vec![name.clone()], span)?;
    }
    comment(cursor)?;
    table.columns.push(Column { name, kind: ColumnKind::Physical { data_type, span, nullable } });
    Ok(())
}

fn comment(cursor: &mut Cursor) -> SqlResult<()> {
    if cursor.eat_words(&["COMMENT"]) {
        cursor.text("a comment")?;
    }
    Ok(())
}

fn options(cursor: &mut Cursor) -> SqlResult<Vec<(Spanned<String>, Spanned<String>)>> {
    let mut options: Vec<(Spanned<String>, Spanned<String>)> = Vec::new();
    cursor.expect(&Token::LParen)?;
    while !cursor.eat(&Token::RParen) {
        if !options.is_empty() {
            cursor.expect(&Token::Comma)?;
        }
        let key = cursor.text("an option's name")?;
        cursor.expect(&Token::Eq)?;
        let value = cursor.text("an option's value")?;
        if options.iter().any(|(known, _)| known.value == key.value) {
            return Err(SqlDiagnostic::new(key.span, format!("option '{}' is given twice", key.value)));
        }
        options.push((key, value));
    }
    Ok(options)
}

fn identifiers(cursor: &mut Cursor) -> SqlResult<Vec<Ident>> {
    cursor.expect(&Token::LParen)?;
    let names = cursor.grammar(|parser| parser.parse_comma_separated(|parser| parser.parse_identifier()))?;
    cursor.expect(&Token::RParen)?;
    Ok(names)
}

/// A table's name, without the default catalog and database that may stand before it.
pub(crate) fn unqualified(name: &ObjectName) -> SqlResult<Spanned<String>> {
    let mut parts = Vec::new();
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(ident.clone()),
            ObjectNamePart::Function(_) => {
                return Err(SqlDiagnostic::new(Span::empty(), format!("`{name}` is no table name")));
            }
        }
    }
    let known = CATALOG.iter().rev();
    let foreign = parts.iter().rev().skip(1).zip(known).find(|(part, known)| part.value != **known);
    match (parts.last(), foreign) {
        (Some(last), None) if parts.len() <= 3 => Ok(Spanned { value: last.value.clone(), span: last.span }),
        (Some(last), _) => Err(SqlDiagnostic::new(last.span, format!("Object '{name}' not found"))
            .with_hint("All tables live in default_catalog.default_database.")),
        (None, _) => Err(SqlDiagnostic::new(Span::empty(), "a table name is missing")),
    }
}

fn table_name(cursor: &mut Cursor) -> SqlResult<Spanned<String>> {
    let name = cursor.grammar(|parser| parser.parse_object_name(false))?;
    unqualified(&name)
}

/// Reads a bare query.
pub(super) fn query(cursor: &mut Cursor) -> SqlResult<Box<sqlparser::ast::Query>> {
    cursor.grammar(Parser::parse_query)
}
