//! `SHOW …`, `DESCRIBE …` and `USE …`.

use sqlparser::tokenizer::Token;

use super::Cursor;
use super::ast::{Name, Pattern, Show, Shown, Spanned, Statement};
use super::statement::name;
use crate::error::{SqlDiagnostic, SqlResult};

/// Reads one of them; `None` if it is something else.
pub(super) fn parse(cursor: &mut Cursor) -> SqlResult<Option<Statement>> {
    if cursor.eat_words(&["DESCRIBE"]) || cursor.eat_words(&["DESC"]) {
        for what in ["CATALOG", "DATABASE", "FUNCTION", "JOB"] {
            if cursor.peek_word(what)
                && !matches!(cursor.parser.peek_nth_token_ref(1).token, Token::EOF | Token::SemiColon)
            {
                return Err(SqlDiagnostic::new(cursor.span(), format!("DESCRIBE {what} is not supported"))
                    .with_hint("DESCRIBE takes a table or a view; `thm job list` shows jobs."));
            }
        }
        let _ = cursor.eat_words(&["EXTENDED"]);
        return Ok(Some(Statement::Describe(name(cursor)?)));
    }
    if cursor.eat_words(&["USE", "CATALOG"]) {
        let name = name(cursor)?;
        return Ok(Some(Statement::UseCatalog(Spanned { value: name.last().to_owned(), span: name.span })));
    }
    if cursor.peek_words(&["USE", "MODULES"]) {
        return Err(SqlDiagnostic::new(cursor.span(), "USE MODULES is not supported")
            .with_hint("The core module is always there; remove it."));
    }
    if cursor.eat_words(&["USE"]) {
        return Ok(Some(Statement::UseDatabase(name(cursor)?)));
    }
    if !cursor.eat_words(&["SHOW"]) {
        return Ok(None);
    }
    let what = shown(cursor)?;
    // Views and catalogs are listed whole.
    let whole = matches!(what, Shown::Views | Shown::Catalogs);
    let like = if whole { None } else { like(cursor)? };
    Ok(Some(Statement::Show(Show { what, like })))
}

fn shown(cursor: &mut Cursor) -> SqlResult<Shown> {
    let mut eat = |words: &[&str]| cursor.eat_words(words);
    let what = if eat(&["TABLES"]) {
        Shown::Tables(of(cursor)?)
    } else if eat(&["VIEWS"]) {
        Shown::Views
    } else if eat(&["USER", "FUNCTIONS"]) {
        Shown::Functions { user: true }
    } else if eat(&["FUNCTIONS"]) {
        Shown::Functions { user: false }
    } else if eat(&["DATABASES"]) {
        Shown::Databases
    } else if eat(&["CATALOGS"]) {
        Shown::Catalogs
    } else if eat(&["CURRENT", "DATABASE"]) {
        Shown::CurrentDatabase
    } else if eat(&["CURRENT", "CATALOG"]) {
        Shown::CurrentCatalog
    } else if eat(&["JARS"]) {
        Shown::Jars
    } else if eat(&["JOBS"]) {
        Shown::Jobs
    } else if eat(&["MODULES"]) || eat(&["FULL", "MODULES"]) {
        Shown::Modules
    } else if eat(&["CREATE", "TABLE"]) {
        Shown::CreateTable(name(cursor)?)
    } else if eat(&["CREATE", "VIEW"]) {
        Shown::CreateView(name(cursor)?)
    } else if eat(&["COLUMNS"]) {
        let table = of(cursor)?;
        Shown::Columns(table.ok_or_else(|| cursor.expected("FROM and a table"))?)
    } else {
        return Err(cursor.expected("what to show").with_hint(
            "SHOW takes TABLES, VIEWS, COLUMNS FROM t, FUNCTIONS, DATABASES, CATALOGS, CURRENT DATABASE, \
             CURRENT CATALOG, JARS, JOBS, MODULES, CREATE TABLE t and CREATE VIEW v.",
        ));
    };
    Ok(what)
}

fn of(cursor: &mut Cursor) -> SqlResult<Option<Name>> {
    if cursor.eat_words(&["FROM"]) || cursor.eat_words(&["IN"]) { name(cursor).map(Some) } else { Ok(None) }
}

fn like(cursor: &mut Cursor) -> SqlResult<Option<Pattern>> {
    let negated = cursor.eat_words(&["NOT"]);
    let any_case = cursor.peek_word("ILIKE");
    if !cursor.eat_words(&["LIKE"]) && !cursor.eat_words(&["ILIKE"]) {
        return if negated { Err(cursor.expected("LIKE")) } else { Ok(None) };
    }
    let text = cursor.text("a pattern")?.value;
    Ok(Some(Pattern { negated, any_case, text }))
}
