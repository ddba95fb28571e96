//! Statements of a script, as far as they are not sqlparser's own (queries, expressions, data types are).

use sqlparser::ast::{DataType, Expr, Ident, Query};
use sqlparser::tokenizer::Span;

/// A name or a text with its place.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

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
    /// `RESET` or `RESET 'key'`
    Reset(Option<Spanned<String>>),
    /// `ADD JAR 'path'`
    AddJar(Spanned<String>),
    /// `DROP [TEMPORARY] TABLE [IF EXISTS] name`
    DropTable {
        /// Which.
        name: Spanned<String>,
        /// Whether a missing table is fine.
        if_exists: bool,
    },
    /// `CREATE [TEMPORARY] TABLE …`
    CreateTable(Box<CreateTable>),
    /// `INSERT INTO t [(columns)] SELECT …`
    Insert(Box<Insert>),
    /// `EXECUTE STATEMENT SET BEGIN … END`
    StatementSet(Vec<Insert>),
}

/// `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Its name, unqualified.
    pub name: Spanned<String>,
    /// `IF NOT EXISTS`
    pub if_not_exists: bool,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// `PRIMARY KEY (…) NOT ENFORCED`
    pub primary_key: Vec<Ident>,
    /// `WATERMARK FOR column AS expression`
    pub watermark: Option<(Ident, Expr)>,
    /// `WITH (…)`
    pub options: Vec<(Spanned<String>, Spanned<String>)>,
}

/// A column of `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: ColumnKind,
}

/// What a column is.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// `name TYPE [NOT NULL]`
    Physical {
        /// The type.
        data_type: DataType,
        /// Where the type stands.
        span: Span,
        /// Whether NULL is allowed.
        nullable: bool,
    },
    /// `name AS expression`
    Computed(Box<Expr>),
}

/// `INSERT INTO`.
#[derive(Clone, Debug)]
pub struct Insert {
    /// Target table.
    pub table: Spanned<String>,
    /// Target columns, if listed.
    pub columns: Vec<Ident>,
    /// What to insert.
    pub query: Box<Query>,
    /// The statement's first word.
    pub span: Span,
}
