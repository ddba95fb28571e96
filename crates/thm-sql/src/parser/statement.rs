//! One statement: which it is, and those that are small. DDL and SHOW have files of their own.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SetExpr};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

use super::ast::{Insert, Name, Statement, WrittenOption};
use super::{Cursor, ddl, reserved, show, windows};
use crate::error::{SqlDiagnostic, SqlResult};

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
    if cursor.eat_words(&["REMOVE", "JAR"]) {
        return Ok(Statement::RemoveJar(cursor.text("the path of a jar")?));
    }
    if let Some(statement) = ddl::parse(cursor)? {
        return Ok(statement);
    }
    if let Some(statement) = show::parse(cursor)? {
        return Ok(statement);
    }
    if cursor.eat_words(&["EXPLAIN"]) {
        return explain(cursor);
    }
    if cursor.peek_word("INSERT") {
        return insert(cursor).map(|insert| Statement::Insert(Box::new(insert)));
    }
    if cursor.peek_words(&["EXECUTE", "STATEMENT", "SET"]) || cursor.peek_words(&["BEGIN", "STATEMENT", "SET"]) {
        return statement_set(cursor);
    }
    if cursor.peek_words(&["EXECUTE", "INSERT"]) {
        cursor.expect_words(&["EXECUTE"])?;
        return insert(cursor).map(|insert| Statement::Insert(Box::new(insert)));
    }
    if is_query(cursor) {
        return query(cursor).map(Statement::Query);
    }
    Err(refuse(cursor))
}

fn is_query(cursor: &Cursor) -> bool {
    ["SELECT", "WITH", "VALUES"].iter().any(|word| cursor.peek_word(word)) || cursor.peek().token == Token::LParen
}

/// What to say of a statement that we know and lack, or do not know.
fn refuse(cursor: &Cursor) -> SqlDiagnostic {
    const LACKING: &[(&str, &str, &str)] = &[
        (
            "UPDATE",
            "UPDATE statement is not supported for streaming mode now.",
            "Jobs only INSERT; updates follow from the changes of the source.",
        ),
        (
            "DELETE",
            "DELETE statement is not supported for streaming mode now.",
            "Jobs only INSERT; deletes follow from the changes of the source.",
        ),
        (
            "TRUNCATE",
            "TRUNCATE TABLE statement is not supported in streaming mode.",
            "Delete and create the topic with a Kafka client instead.",
        ),
        ("ANALYZE", "ANALYZE TABLE is not supported", "Plans do not depend on statistics; remove it."),
        ("LOAD", "LOAD MODULE is not supported", "The core module is always there; remove it."),
        ("UNLOAD", "UNLOAD MODULE is not supported", "The core module is always there; remove it."),
        ("CALL", "CALL is not supported", "There are no procedures."),
        ("STOP", "STOP JOB is not supported in a script", "Cancel the job over REST: PATCH /jobs/<id>."),
        ("EXECUTE", "EXECUTE PLAN is not supported", "Submit the statement itself."),
        ("REPLACE", "REPLACE TABLE is not supported", "Write DROP TABLE IF EXISTS, CREATE TABLE and INSERT INTO."),
        ("COMPILE", "COMPILE PLAN is not supported", "Submit the statement itself; plans have a version of their own."),
    ];
    if let Some(error) = refuse_object(cursor) {
        return error;
    }
    match LACKING.iter().find(|(word, ..)| cursor.peek_word(word)) {
        Some((_, message, hint)) => SqlDiagnostic::new(cursor.span(), *message).with_hint(*hint),
        None => {
            let found = cursor.peek();
            let non_query = matches!(found.token, Token::Word(_));
            let error = if non_query {
                let message = format!("Non-query expression encountered in illegal context: \"{}\"", found.token);
                SqlDiagnostic::new(found.span, message)
            } else {
                cursor.expected("a statement")
            };
            error.with_hint("Write SELECT, SET, CREATE TABLE, CREATE VIEW, INSERT INTO or EXECUTE STATEMENT SET.")
        }
    }
}

/// `CREATE`, `DROP` and `ALTER` of what is neither table nor view nor database.
fn refuse_object(cursor: &Cursor) -> Option<SqlDiagnostic> {
    const OBJECTS: &[(&str, &str, &str)] = &[
        ("FUNCTION", "FUNCTION", "Classes cannot be loaded; SHOW FUNCTIONS lists what is built in."),
        ("CATALOG", "CATALOG", "There is one catalog, default_catalog; it lives as long as the session."),
        ("MATERIALIZED", "MATERIALIZED TABLE", "Write CREATE TABLE and INSERT INTO: a job keeps the table fresh."),
        ("REPLACE", "OR REPLACE TABLE", "Write DROP TABLE IF EXISTS, CREATE TABLE and INSERT INTO."),
        ("MODEL", "MODEL", "There are no models."),
        ("DATABASE", "DATABASE", "A database has no options; write CREATE DATABASE or DROP DATABASE."),
    ];
    let verb = ["CREATE", "DROP", "ALTER"].into_iter().find(|verb| cursor.peek_word(verb))?;
    let is = |at: usize, word: &str| super::is_word(&cursor.parser.peek_nth_token_ref(at).token, word);
    // What may stand between: OR, TEMPORARY, SYSTEM.
    let known = (1..=3).find_map(|at| OBJECTS.iter().find(|(word, ..)| is(at, word)));
    let next = cursor.parser.peek_nth_token_ref(1).token.to_string();
    let (what, hint) =
        known.map_or((next.as_str(), "Tables, views and databases can be made."), |(_, what, hint)| (*what, *hint));
    Some(SqlDiagnostic::new(cursor.span(), format!("{verb} {what} is not supported")).with_hint(hint))
}

fn set(cursor: &mut Cursor) -> SqlResult<Statement> {
    cursor.expect_words(&["SET"])?;
    if cursor.at_end() || cursor.peek().token == Token::SemiColon {
        return Ok(Statement::ShowOptions);
    }
    let key = cursor.text("an option's name")?;
    cursor.expect(&Token::Eq)?;
    let value = cursor.text("an option's value")?;
    Ok(Statement::Set { key, value })
}

fn explain(cursor: &mut Cursor) -> SqlResult<Statement> {
    let mut changelog_mode = false;
    if !cursor.eat_words(&["PLAN", "FOR"]) {
        while let Some(detail) = detail(cursor)? {
            changelog_mode |= detail == "CHANGELOG_MODE";
            if !cursor.eat(&Token::Comma) {
                break;
            }
        }
    }
    let inner = if cursor.peek_words(&["STATEMENT", "SET"]) {
        cursor.expect_words(&["STATEMENT", "SET", "BEGIN"])?;
        Statement::StatementSet(inserts(cursor)?)
    } else {
        parse(cursor)?
    };
    match inner {
        Statement::Query(_) | Statement::Insert(_) | Statement::StatementSet(_) => {
            Ok(Statement::Explain { inner: Box::new(inner), changelog_mode })
        }
        _ => Err(SqlDiagnostic::new(cursor.span(), "Unsupported statement in EXPLAIN")
            .with_hint("EXPLAIN takes SELECT, INSERT and STATEMENT SET.")),
    }
}

/// One of EXPLAIN's details; those that our plans have nothing to say to are refused.
fn detail(cursor: &mut Cursor) -> SqlResult<Option<&'static str>> {
    const LACKING: &[(&str, &str)] = &[
        ("ESTIMATED_COST", "Plans do not depend on costs; write EXPLAIN, or EXPLAIN CHANGELOG_MODE."),
        ("PLAN_ADVICE", "Advice is about state, which these plans do not keep; write EXPLAIN."),
        ("JSON_EXECUTION_PLAN", "Write EXPLAIN alone; the running job's plan is at /jobs/<id>/plan."),
    ];
    match LACKING.iter().find(|(word, _)| cursor.peek_word(word)) {
        Some((word, hint)) => {
            Err(SqlDiagnostic::new(cursor.span(), format!("{word} is not supported")).with_hint(*hint))
        }
        None => Ok(cursor.eat_words(&["CHANGELOG_MODE"]).then_some("CHANGELOG_MODE")),
    }
}

fn statement_set(cursor: &mut Cursor) -> SqlResult<Statement> {
    if !cursor.eat_words(&["EXECUTE", "STATEMENT", "SET", "BEGIN"]) {
        cursor.expect_words(&["BEGIN", "STATEMENT", "SET"])?;
        cursor.expect(&Token::SemiColon)?;
    }
    inserts(cursor).map(Statement::StatementSet)
}

fn inserts(cursor: &mut Cursor) -> SqlResult<Vec<Insert>> {
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
    Ok(inserts)
}

fn insert(cursor: &mut Cursor) -> SqlResult<Insert> {
    let span = cursor.span();
    cursor.expect_words(&["INSERT"])?;
    if cursor.peek_word("OVERWRITE") {
        let message = "INSERT OVERWRITE requires that the underlying DynamicTableSink of the table implements the \
                       SupportsOverwrite interface.";
        return Err(
            SqlDiagnostic::new(cursor.span(), message).with_hint("Write INSERT INTO; a topic is never overwritten.")
        );
    }
    cursor.expect_words(&["INTO"])?;
    let table = name(cursor)?;
    let partition = if cursor.eat_words(&["PARTITION"]) { partition(cursor)? } else { Vec::new() };
    let columns = if cursor.peek().token == Token::LParen && !cursor.peek_nth_is_query() {
        identifiers(cursor)?
    } else {
        Vec::new()
    };
    let query = query(cursor)?;
    Ok(Insert { table, columns, partition, query, span })
}

/// `(column = constant, …)`
fn partition(cursor: &mut Cursor) -> SqlResult<Vec<(Ident, sqlparser::ast::Expr)>> {
    cursor.expect(&Token::LParen)?;
    let mut out = Vec::new();
    loop {
        let column = cursor.grammar(|parser| parser.parse_identifier())?;
        cursor.expect(&Token::Eq)?;
        out.push((column, cursor.grammar(Parser::parse_expr)?));
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(out)
}

impl Cursor {
    /// Whether a parenthesis opens a query instead of a column list.
    fn peek_nth_is_query(&self) -> bool {
        ["SELECT", "WITH", "VALUES"].iter().any(|word| super::is_word(&self.parser.peek_nth_token_ref(1).token, word))
            || self.parser.peek_nth_token_ref(1).token == Token::LParen
    }
}

/// `('key' = 'value', …)`
pub(super) fn options(cursor: &mut Cursor) -> SqlResult<Vec<WrittenOption>> {
    let mut options: Vec<WrittenOption> = Vec::new();
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

/// `(a, b)`
pub(super) fn identifiers(cursor: &mut Cursor) -> SqlResult<Vec<Ident>> {
    cursor.expect(&Token::LParen)?;
    let names = cursor.grammar(|parser| parser.parse_comma_separated(|parser| parser.parse_identifier()))?;
    names.iter().try_for_each(reserved::check_name)?;
    cursor.expect(&Token::RParen)?;
    Ok(names)
}

/// The name of a table, view or database as its parts.
pub(crate) fn name_of(name: &ObjectName) -> SqlResult<Name> {
    let mut parts = Vec::new();
    let mut span = Span::empty();
    for part in &name.0 {
        let ObjectNamePart::Identifier(ident) = part else {
            return Err(SqlDiagnostic::new(span, format!("`{name}` is no table name")));
        };
        reserved::check_name(ident)?;
        parts.push(ident.value.clone());
        span = ident.span;
    }
    if parts.is_empty() || parts.len() > 3 {
        return Err(SqlDiagnostic::new(span, format!("Object '{name}' not found"))
            .with_hint("A name has up to three parts: catalog.database.table."));
    }
    Ok(Name { parts, span })
}

/// Reads a name.
pub(super) fn name(cursor: &mut Cursor) -> SqlResult<Name> {
    let name = cursor.grammar(|parser| parser.parse_object_name(false))?;
    name_of(&name)
}

/// Reads a query.
pub(super) fn query(cursor: &mut Cursor) -> SqlResult<Box<sqlparser::ast::Query>> {
    let span = cursor.span();
    windows::refuse(cursor)?;
    let query = cursor.grammar(Parser::parse_query)?;
    let known = matches!(
        *query.body,
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
    );
    if known {
        return Ok(query);
    }
    Err(SqlDiagnostic::new(span, "this is not a query").with_hint("Write SELECT …, VALUES … or WITH … SELECT …."))
}
