//! `CREATE`, `DROP` and `ALTER`, clause by clause.

use sqlparser::ast::Ident;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

use super::ast::{
    Alter, Change, Column, ColumnKind, CreateTable, CreateTableAs, CreateView, Drop, Fragment, Like, Name, Position,
    SchemaChange, Statement, WrittenType,
};
use super::statement::{identifiers, name, options, query};
use super::{Cursor, data_type, reserved};
use crate::error::{SqlDiagnostic, SqlResult};

/// Reads one of them; `None` if it is something else.
pub(super) fn parse(cursor: &mut Cursor) -> SqlResult<Option<Statement>> {
    for (words, temporary, view) in [
        (&["CREATE", "TABLE"][..], false, false),
        (&["CREATE", "TEMPORARY", "TABLE"], true, false),
        (&["CREATE", "VIEW"], false, true),
        (&["CREATE", "TEMPORARY", "VIEW"], true, true),
    ] {
        if cursor.eat_words(words) {
            return if view { create_view(cursor, temporary) } else { create_table(cursor, temporary) }.map(Some);
        }
    }
    for (words, temporary, view) in [
        (&["DROP", "TABLE"][..], false, false),
        (&["DROP", "TEMPORARY", "TABLE"], true, false),
        (&["DROP", "VIEW"], false, true),
        (&["DROP", "TEMPORARY", "VIEW"], true, true),
    ] {
        if cursor.eat_words(words) {
            let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
            return Ok(Some(Statement::Drop(Drop { name: name(cursor)?, if_exists, temporary, view })));
        }
    }
    if cursor.eat_words(&["ALTER", "TABLE"]) {
        return alter(cursor, false).map(Some);
    }
    if cursor.eat_words(&["ALTER", "VIEW"]) {
        return alter(cursor, true).map(Some);
    }
    database(cursor)
}

fn database(cursor: &mut Cursor) -> SqlResult<Option<Statement>> {
    if cursor.eat_words(&["CREATE", "DATABASE"]) {
        let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
        let name = name(cursor)?;
        let _ = comment(cursor)?;
        if cursor.eat_words(&["WITH"]) {
            options(cursor)?;
        }
        return Ok(Some(Statement::CreateDatabase { name, if_not_exists }));
    }
    if cursor.eat_words(&["DROP", "DATABASE"]) {
        let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
        let name = name(cursor)?;
        let cascade = cursor.eat_words(&["CASCADE"]);
        let _ = cursor.eat_words(&["RESTRICT"]);
        return Ok(Some(Statement::DropDatabase { name, if_exists, cascade }));
    }
    Ok(None)
}

fn alter(cursor: &mut Cursor, view: bool) -> SqlResult<Statement> {
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let which = name(cursor)?;
    let change = if cursor.eat_words(&["RENAME", "TO"]) {
        Change::Rename(name(cursor)?)
    } else if view && cursor.eat_words(&["AS"]) {
        Change::Query(query(cursor)?)
    } else if cursor.eat_words(&["SET"]) {
        Change::Set(options(cursor)?)
    } else if cursor.eat_words(&["RESET"]) {
        cursor.expect(&Token::LParen)?;
        if cursor.peek().token == Token::RParen {
            return Err(SqlDiagnostic::new(cursor.span(), "ALTER TABLE RESET does not support empty key")
                .with_hint("Name the options to take away."));
        }
        let mut keys = vec![cursor.text("an option's name")?];
        while cursor.eat(&Token::Comma) {
            keys.push(cursor.text("an option's name")?);
        }
        cursor.expect(&Token::RParen)?;
        Change::Reset(keys)
    } else if let Some(change) = schema_change(cursor)?.filter(|_| !view) {
        Change::Schema(Box::new(change))
    } else {
        return Err(cursor.expected("ADD, MODIFY, DROP, RENAME, SET or RESET"));
    };
    Ok(Statement::Alter(Box::new(Alter { name: which, if_exists, view, change })))
}

/// `ADD`, `MODIFY`, `DROP` and `RENAME` of columns, key and watermark.
fn schema_change(cursor: &mut Cursor) -> SqlResult<Option<SchemaChange>> {
    let span = cursor.span();
    for (words, modifies) in [("ADD", false), ("MODIFY", true)] {
        if cursor.eat_words(&[words]) {
            let fragment = fragment(cursor)?;
            return Ok(Some(if modifies { SchemaChange::Modify(fragment) } else { SchemaChange::Add(fragment) }));
        }
    }
    if cursor.eat_words(&["RENAME"]) {
        let from = cursor.grammar(|parser| parser.parse_identifier())?;
        cursor.expect_words(&["TO"])?;
        let to = cursor.grammar(|parser| parser.parse_identifier())?;
        reserved::check_name(&to)?;
        return Ok(Some(SchemaChange::Rename(from, to)));
    }
    if !cursor.eat_words(&["DROP"]) {
        return Ok(None);
    }
    no_partitions(cursor)?;
    Ok(Some(if cursor.eat_words(&["PRIMARY", "KEY"]) {
        SchemaChange::DropKey { constraint: None, span }
    } else if cursor.eat_words(&["CONSTRAINT"]) {
        SchemaChange::DropKey { constraint: Some(cursor.grammar(|parser| parser.parse_identifier())?), span }
    } else if cursor.eat_words(&["WATERMARK"]) {
        SchemaChange::DropWatermark(span)
    } else if cursor.peek().token == Token::LParen {
        SchemaChange::Drop(identifiers(cursor)?)
    } else {
        SchemaChange::Drop(vec![cursor.grammar(|parser| parser.parse_identifier())?])
    }))
}

fn no_partitions(cursor: &mut Cursor) -> SqlResult<()> {
    if cursor.peek_word("PARTITION") {
        return Err(SqlDiagnostic::new(cursor.span(), "PARTITION is not supported")
            .with_hint("Tables are not partitioned; a topic's partitions follow from the key."));
    }
    Ok(())
}

/// One part of a schema, or several in brackets.
fn fragment(cursor: &mut Cursor) -> SqlResult<Fragment> {
    no_partitions(cursor)?;
    let none = Name { parts: Vec::new(), span: cursor.span() };
    let mut parts = empty_table(none, false, false);
    let mut positions = Vec::new();
    let several = cursor.eat(&Token::LParen);
    loop {
        element(cursor, &mut parts)?;
        if parts.columns.len() > positions.len() {
            positions.push(position(cursor)?);
        }
        if !several || !cursor.eat(&Token::Comma) {
            break;
        }
    }
    if several {
        cursor.expect(&Token::RParen)?;
    }
    let CreateTable { columns, primary_key, constraint, watermark, .. } = parts;
    Ok(Fragment { columns: columns.into_iter().zip(positions).collect(), primary_key, constraint, watermark })
}

fn position(cursor: &mut Cursor) -> SqlResult<Option<Position>> {
    if cursor.eat_words(&["FIRST"]) {
        return Ok(Some(Position::First));
    }
    if cursor.eat_words(&["AFTER"]) {
        return cursor.grammar(|parser| parser.parse_identifier()).map(|name| Some(Position::After(name)));
    }
    Ok(None)
}

const fn empty_table(name: Name, temporary: bool, if_not_exists: bool) -> CreateTable {
    CreateTable {
        name,
        temporary,
        if_not_exists,
        columns: Vec::new(),
        primary_key: Vec::new(),
        constraint: None,
        watermark: None,
        comment: None,
        options: Vec::new(),
        like: None,
    }
}

fn create_view(cursor: &mut Cursor, temporary: bool) -> SqlResult<Statement> {
    let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = name(cursor)?;
    let columns = if cursor.peek().token == Token::LParen { identifiers(cursor)? } else { Vec::new() };
    let comment = comment(cursor)?;
    cursor.expect_words(&["AS"])?;
    let query = query(cursor)?;
    Ok(Statement::CreateView(Box::new(CreateView { name, temporary, if_not_exists, columns, comment, query })))
}

fn create_table(cursor: &mut Cursor, temporary: bool) -> SqlResult<Statement> {
    let span = cursor.span();
    let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let mut table = empty_table(name(cursor)?, temporary, if_not_exists);
    if cursor.eat(&Token::LParen) {
        loop {
            element(cursor, &mut table)?;
            if !cursor.eat(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
    }
    table.comment = comment(cursor)?;
    for (clause, hint) in [
        ("PARTITIONED", "Leave PARTITIONED BY out; a topic's partitions follow from the key."),
        ("DISTRIBUTED", "Leave DISTRIBUTED BY out; a topic's partitions follow from the key."),
    ] {
        if cursor.peek_word(clause) {
            return Err(SqlDiagnostic::new(cursor.span(), format!("{clause} BY is not supported")).with_hint(hint));
        }
    }
    if cursor.eat_words(&["WITH"]) {
        table.options = options(cursor)?;
    }
    if cursor.eat_words(&["LIKE"]) {
        table.like = Some(like(cursor)?);
    }
    if cursor.eat_words(&["AS"]) {
        check_as(&table, span)?;
        let query = query(cursor)?;
        return Ok(Statement::CreateTableAs(Box::new(CreateTableAs { table, query, span })));
    }
    Ok(Statement::CreateTable(Box::new(table)))
}

/// What Flink 1.20 does not let a table be that a query makes.
fn check_as(table: &CreateTable, span: Span) -> SqlResult<()> {
    let what = if table.temporary {
        "to create temporary table"
    } else if !table.columns.is_empty() {
        "to specify explicit columns"
    } else if table.watermark.is_some() {
        "to specify explicit watermark"
    } else if !table.primary_key.is_empty() {
        "primary key constraints"
    } else if table.like.is_some() {
        "LIKE"
    } else {
        return Ok(());
    };
    let message = format!("CREATE TABLE AS SELECT syntax does not support {what} yet.");
    Err(SqlDiagnostic::new(span, message).with_hint("Write CREATE TABLE with its columns, then INSERT INTO it."))
}

/// `LIKE other [(INCLUDING ALL, EXCLUDING OPTIONS, …)]`
fn like(cursor: &mut Cursor) -> SqlResult<Like> {
    let source = name(cursor)?;
    let mut rules = Vec::new();
    if cursor.eat(&Token::LParen) {
        while !cursor.eat(&Token::RParen) {
            let word = |cursor: &mut Cursor, known: &[&str]| {
                let found = known.iter().find(|word| cursor.eat_words(&[word]));
                found.map(|word| (*word).to_owned()).ok_or_else(|| cursor.expected(&known.join(" or ")))
            };
            let how = word(cursor, &["INCLUDING", "EXCLUDING", "OVERWRITING"])?;
            let what =
                ["ALL", "CONSTRAINTS", "DISTRIBUTION", "GENERATED", "METADATA", "OPTIONS", "PARTITIONS", "WATERMARKS"];
            rules.push((how, word(cursor, &what)?));
        }
    }
    Ok(Like { source, rules })
}

fn element(cursor: &mut Cursor, table: &mut CreateTable) -> SqlResult<()> {
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
        let name = cursor.grammar(|parser| parser.parse_identifier())?;
        table.constraint = Some(name.value);
        cursor.expect_words(&["PRIMARY"])?;
        return primary_key(cursor, table);
    }
    if cursor.eat_words(&["PRIMARY"]) {
        return primary_key(cursor, table);
    }
    if cursor.peek_word("UNIQUE") {
        return Err(SqlDiagnostic::new(cursor.span(), "UNIQUE constraint is not supported")
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
    let message = "Flink doesn't support ENFORCED mode for PRIMARY KEY constraint. ENFORCED/NOT ENFORCED controls if the \
                   constraint checks are performed on the incoming/outgoing data. Flink does not own the data therefore \
                   the only supported mode is the NOT ENFORCED mode";
    Err(SqlDiagnostic::new(cursor.span(), message).with_hint("Write PRIMARY KEY (…) NOT ENFORCED."))
}

fn column(cursor: &mut Cursor, table: &mut CreateTable) -> SqlResult<()> {
    let name = cursor.grammar(|parser| parser.parse_identifier())?;
    reserved::check_name(&name)?;
    if cursor.eat_words(&["AS"]) {
        let expression = cursor.grammar(Parser::parse_expr)?;
        let comment = comment(cursor)?;
        table.columns.push(Column { name, kind: ColumnKind::Computed(Box::new(expression)), comment });
        return Ok(());
    }
    let span = cursor.span();
    let data_type = cursor.data_type()?;
    let nullable = data_type::from_name(&data_type).is_none_or(|read| read.nullable);
    let written = WrittenType { data_type, span, nullable };
    let kind = if cursor.eat_words(&["METADATA"]) {
        let key = if cursor.eat_words(&["FROM"]) { Some(cursor.text("a metadata key")?) } else { None };
        let is_virtual = cursor.eat_words(&["VIRTUAL"]);
        ColumnKind::Metadata { data_type: written, key, is_virtual }
    } else {
        ColumnKind::Physical(written)
    };
    if cursor.eat_words(&["PRIMARY", "KEY"]) {
        not_enforced(cursor)?;
        set_key(table, vec![name.clone()], span)?;
    }
    let comment = comment(cursor)?;
    table.columns.push(Column { name, kind, comment });
    Ok(())
}

fn comment(cursor: &mut Cursor) -> SqlResult<Option<String>> {
    if cursor.eat_words(&["COMMENT"]) { cursor.text("a comment").map(|text| Some(text.value)) } else { Ok(None) }
}
