//! Statements of a script, as far as they are not sqlparser's own (queries, expressions, data types are).

use std::sync::Arc;

use sqlparser::ast::{DataType, Expr, Ident, Query};
use sqlparser::tokenizer::Span;

use super::hints::Hints;

/// A name or a text with its place.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// `[[catalog.]database.]name`, one to three parts.
#[derive(Clone, Debug)]
pub struct Name {
    /// The parts as written.
    pub parts: Vec<String>,
    /// Where the last one stands.
    pub span: Span,
}

impl Name {
    /// The last part.
    #[must_use]
    pub fn last(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }
}

/// A statement with what belongs to it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Its `/*+ … */`.
    pub hints: Arc<Hints>,
    /// Its text, without the semicolon.
    pub text: String,
    /// Its first word.
    pub span: Span,
}

/// `'key' = 'value'`
pub type WrittenOption = (Spanned<String>, Spanned<String>);

/// One statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `SET 'key' = 'value'`
    Set {
        /// Option.
        key: Spanned<String>,
        /// Its value.
        value: Spanned<String>,
    },
    /// `SET`: shows all options.
    ShowOptions,
    /// `RESET` or `RESET 'key'`
    Reset(Option<Spanned<String>>),
    /// `ADD JAR 'path'`
    AddJar(Spanned<String>),
    /// `REMOVE JAR 'path'`
    RemoveJar(Spanned<String>),
    /// `DROP [TEMPORARY] TABLE|VIEW [IF EXISTS] name`
    Drop(Drop),
    /// `CREATE [TEMPORARY] TABLE …`
    CreateTable(Box<CreateTable>),
    /// `CREATE TABLE … AS SELECT …`
    CreateTableAs(Box<CreateTableAs>),
    /// `CREATE [TEMPORARY] VIEW …`
    CreateView(Box<CreateView>),
    /// `ALTER TABLE|VIEW …`
    Alter(Box<Alter>),
    /// `CREATE DATABASE [IF NOT EXISTS] name`
    CreateDatabase {
        /// Which.
        name: Name,
        /// Whether one that exists is fine.
        if_not_exists: bool,
    },
    /// `DROP DATABASE [IF EXISTS] name [CASCADE|RESTRICT]`
    DropDatabase {
        /// Which.
        name: Name,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// Whether its tables go too.
        cascade: bool,
    },
    /// `USE [catalog.]database`
    UseDatabase(Name),
    /// `USE CATALOG name`
    UseCatalog(Spanned<String>),
    /// `SHOW …`
    Show(Show),
    /// `DESCRIBE name`
    Describe(Name),
    /// `EXPLAIN [CHANGELOG_MODE] …`
    Explain {
        /// What is explained.
        inner: Box<Self>,
        /// Whether each node says which changes it gives.
        changelog_mode: bool,
    },
    /// `INSERT INTO t [(columns)] SELECT …`
    Insert(Box<Insert>),
    /// `EXECUTE STATEMENT SET BEGIN … END`
    StatementSet(Vec<Insert>),
    /// A bare query.
    Query(Box<Query>),
}

/// `DROP TABLE` and `DROP VIEW`.
#[derive(Clone, Debug)]
pub struct Drop {
    /// Which.
    pub name: Name,
    /// Whether a missing one is fine.
    pub if_exists: bool,
    /// `TEMPORARY`
    pub temporary: bool,
    /// A view instead of a table.
    pub view: bool,
}

/// `CREATE TABLE … AS SELECT …`: the table, still without columns, and what fills it.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// The table; its columns are the query's.
    pub table: CreateTable,
    /// What fills it.
    pub query: Box<Query>,
    /// The statement's first word.
    pub span: Span,
}

/// `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Its name.
    pub name: Name,
    /// `TEMPORARY`
    pub temporary: bool,
    /// `IF NOT EXISTS`
    pub if_not_exists: bool,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// `PRIMARY KEY (…) NOT ENFORCED`
    pub primary_key: Vec<Ident>,
    /// `CONSTRAINT name` of the key.
    pub constraint: Option<String>,
    /// `WATERMARK FOR column AS expression`
    pub watermark: Option<(Ident, Expr)>,
    /// `COMMENT '…'`
    pub comment: Option<String>,
    /// `WITH (…)`
    pub options: Vec<WrittenOption>,
    /// `LIKE other`
    pub like: Option<Like>,
}

/// `LIKE other [(what to take over)]`
#[derive(Clone, Debug)]
pub struct Like {
    /// The other table.
    pub source: Name,
    /// `INCLUDING|EXCLUDING|OVERWRITING what`, in upper case.
    pub rules: Vec<(String, String)>,
}

/// A column of `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: ColumnKind,
    /// `COMMENT '…'`
    pub comment: Option<String>,
}

/// What a column is.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// `name TYPE [NOT NULL]`
    Physical(WrittenType),
    /// `name AS expression`
    Computed(Box<Expr>),
    /// `name TYPE METADATA [FROM 'key'] [VIRTUAL]`
    Metadata {
        /// Type to show it as.
        data_type: WrittenType,
        /// Key, if it is not the column's name.
        key: Option<Spanned<String>>,
        /// Whether sinks leave it out.
        is_virtual: bool,
    },
}

/// A type as written.
#[derive(Clone, Debug)]
pub struct WrittenType {
    /// The type.
    pub data_type: DataType,
    /// Where it stands.
    pub span: Span,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Its name.
    pub name: Name,
    /// `TEMPORARY`
    pub temporary: bool,
    /// `IF NOT EXISTS`
    pub if_not_exists: bool,
    /// Names of its columns, if listed.
    pub columns: Vec<Ident>,
    /// `COMMENT '…'`
    pub comment: Option<String>,
    /// What it stands for.
    pub query: Box<Query>,
}

/// `ALTER TABLE|VIEW`.
#[derive(Clone, Debug)]
pub struct Alter {
    /// Which.
    pub name: Name,
    /// `IF EXISTS`
    pub if_exists: bool,
    /// A view instead of a table.
    pub view: bool,
    /// What to change.
    pub change: Change,
}

/// What `ALTER` changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// `RENAME TO name`
    Rename(Name),
    /// `SET ('key' = 'value', …)`
    Set(Vec<WrittenOption>),
    /// `RESET ('key', …)`
    Reset(Vec<Spanned<String>>),
    /// `AS query` of a view
    Query(Box<Query>),
    /// Columns, key or watermark of a table.
    Schema(Box<SchemaChange>),
}

/// What `ALTER TABLE` changes of a schema.
#[derive(Clone, Debug)]
pub enum SchemaChange {
    /// `ADD …`
    Add(Fragment),
    /// `MODIFY …`
    Modify(Fragment),
    /// `DROP column` or `DROP (column, …)`
    Drop(Vec<Ident>),
    /// `DROP PRIMARY KEY` or `DROP CONSTRAINT name`
    DropKey {
        /// Name of the constraint.
        constraint: Option<Ident>,
        /// Where it stands.
        span: Span,
    },
    /// `DROP WATERMARK`
    DropWatermark(Span),
    /// `RENAME column TO name`
    Rename(Ident, Ident),
}

/// Parts of a schema behind `ADD` and `MODIFY`.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Columns, and where to put them.
    pub columns: Vec<(Column, Option<Position>)>,
    /// `PRIMARY KEY (…) NOT ENFORCED`
    pub primary_key: Vec<Ident>,
    /// `CONSTRAINT name` of the key.
    pub constraint: Option<String>,
    /// `WATERMARK FOR column AS expression`
    pub watermark: Option<(Ident, Expr)>,
}

/// Where a column goes.
#[derive(Clone, Debug)]
pub enum Position {
    /// `FIRST`
    First,
    /// `AFTER column`
    After(Ident),
}

/// `SHOW`.
#[derive(Clone, Debug)]
pub struct Show {
    /// What.
    pub what: Shown,
    /// `[NOT] LIKE 'pattern'` or `ILIKE`.
    pub like: Option<Pattern>,
}

/// Things to show.
#[derive(Clone, Debug)]
pub enum Shown {
    /// `TABLES [FROM database]`
    Tables(Option<Name>),
    /// `VIEWS`
    Views,
    /// `[USER] FUNCTIONS`
    Functions {
        /// Only those that users have made: none.
        user: bool,
    },
    /// `DATABASES`
    Databases,
    /// `CATALOGS`
    Catalogs,
    /// `CURRENT DATABASE`
    CurrentDatabase,
    /// `CURRENT CATALOG`
    CurrentCatalog,
    /// `JARS`
    Jars,
    /// `JOBS`
    Jobs,
    /// `[FULL] MODULES`
    Modules,
    /// `COLUMNS FROM table`
    Columns(Name),
    /// `CREATE TABLE table`
    CreateTable(Name),
    /// `CREATE VIEW view`
    CreateView(Name),
}

/// A filter on names.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// `NOT`
    pub negated: bool,
    /// `ILIKE`
    pub any_case: bool,
    /// With `%` and `_`.
    pub text: String,
}

/// `INSERT INTO`.
#[derive(Clone, Debug)]
pub struct Insert {
    /// Target table.
    pub table: Name,
    /// Target columns, if listed.
    pub columns: Vec<Ident>,
    /// `PARTITION (column = constant, …)`
    pub partition: Vec<(Ident, Expr)>,
    /// What to insert.
    pub query: Box<Query>,
    /// The statement's first word.
    pub span: Span,
}
