//! Tables and views that a session has created, by catalog, database and name.
//!
//! A table is kept as it was written and becomes a [`Table`] when something reads or writes it: only then is it known
//! whether its options have to do for a source, a sink or a look-up, and hints may have changed them. So Flink does it.

mod alter;
mod like;
pub mod show;
pub mod table;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use sqlparser::ast::{Ident, Query};
use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::Usage;
use crate::parser::ast::{Alter, Change, CreateTable, Drop, Name, Spanned, WrittenOption};
use crate::parser::hints::Hints;
use crate::types::DataType;
pub use table::{Column, ColumnKind, MetadataColumn, PhysicalColumn, Table};

/// Flink's name of the catalog that is always there.
const DEFAULT_CATALOG: &str = "default_catalog";
/// Flink's name of the database that is always there.
const DEFAULT_DATABASE: &str = "default_database";

/// Where an object is: `catalog.database.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Catalog.
    pub catalog: String,
    /// Database.
    pub database: String,
    /// Its own name.
    pub name: String,
}

impl Path {
    /// With each part in backticks.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("`{}`.`{}`.`{}`", self.catalog, self.database, self.name)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.database, self.name)
    }
}

/// A text that an object was created by, for errors that point into it later.
pub type Source = (String, Arc<String>);

/// A view.
#[derive(Clone, Debug)]
pub struct View {
    /// Names of its columns, if it was created with some.
    pub columns: Vec<Ident>,
    /// What it stands for.
    pub query: Box<Query>,
    /// Hints in that query.
    pub hints: Arc<Hints>,
    /// Columns with their types.
    pub schema: Vec<(String, DataType)>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Object {
    /// A table as it was written.
    Table(Box<CreateTable>),
    /// A view.
    View(View),
}

#[derive(Clone, Debug)]
struct Entry {
    object: Object,
    source: Option<Source>,
}

/// All that a session knows by name.
#[derive(Clone, Debug)]
pub struct Catalog {
    current: (String, String),
    databases: BTreeMap<String, BTreeSet<String>>,
    objects: BTreeMap<Path, Entry>,
    temporary: BTreeMap<Path, Entry>,
    used: RefCell<BTreeSet<Path>>,
    notices: RefCell<Vec<String>>,
}

impl Default for Catalog {
    fn default() -> Self {
        let databases = BTreeMap::from([(DEFAULT_CATALOG.to_owned(), BTreeSet::from([DEFAULT_DATABASE.to_owned()]))]);
        Self {
            current: (DEFAULT_CATALOG.to_owned(), DEFAULT_DATABASE.to_owned()),
            databases,
            objects: BTreeMap::new(),
            temporary: BTreeMap::new(),
            used: RefCell::default(),
            notices: RefCell::default(),
        }
    }
}

impl Catalog {
    /// The full path of a name. A first part that is no database or catalog is refused.
    pub fn path(&self, name: &Name) -> SqlResult<Path> {
        let missing = |part: &str| {
            SqlDiagnostic::new(name.span, format!("Object '{part}' not found"))
                .with_hint("SHOW DATABASES lists what there is; the default is default_catalog.default_database.")
        };
        let (catalog, database) = match name.parts.as_slice() {
            [_] => self.current.clone(),
            [database, _] => (self.current.0.clone(), database.clone()),
            [catalog, database, _] => (catalog.clone(), database.clone()),
            _ => return Err(missing(name.last())),
        };
        let known = self.databases.get(&catalog).ok_or_else(|| missing(&catalog))?;
        if !known.contains(&database) {
            return Err(missing(&database));
        }
        Ok(Path { catalog, database, name: name.last().to_owned() })
    }

    /// What a name stands for; temporary objects hide permanent ones.
    fn find(&self, path: &Path) -> Option<&Entry> {
        self.temporary.get(path).or_else(|| self.objects.get(path))
    }

    /// What a name in FROM stands for.
    pub fn object(&self, name: &Name) -> SqlResult<(Path, &Object)> {
        let path = self.path(name)?;
        match self.find(&path) {
            Some(entry) => Ok((path, &entry.object)),
            None => {
                let known = self.objects.keys().chain(self.temporary.keys()).map(|path| path.name.as_str());
                let hint = match crate::functions::nearest(name.last(), known) {
                    Some(near) => format!("Did you mean '{near}'?"),
                    None => "Create it with CREATE TABLE before this statement.".to_owned(),
                };
                Err(SqlDiagnostic::new(name.span, format!("Object '{}' not found", name.last())).with_hint(hint))
            }
        }
    }

    /// A table for a use, with the options of hints over its own.
    pub fn table(&self, name: &Name, usage: Usage, hints: &[WrittenOption]) -> SqlResult<Arc<Table>> {
        let (path, object) = self.object(name)?;
        let Object::Table(written) = object else {
            return Err(SqlDiagnostic::new(name.span, format!("'{path}' is a view")).with_hint("Name a table here."));
        };
        self.used.borrow_mut().insert(path.clone());
        let built = if hints.is_empty() {
            table::build(&path, written, usage)
        } else {
            let mut merged = written.clone();
            merge_options(&mut merged.options, hints);
            table::build(&path, &merged, usage)
        };
        let (table, notices) = built.map_err(|error| self.placed(&path, error))?;
        let mut known = self.notices.borrow_mut();
        for notice in notices {
            if !known.contains(&notice) {
                known.push(notice);
            }
        }
        Ok(Arc::new(table))
    }

    /// The table that INSERT writes.
    pub fn sink(&self, name: &Name, hints: &[WrittenOption]) -> SqlResult<Arc<Table>> {
        let path = self.path(name)?;
        if self.find(&path).is_none() {
            let catalogs: Vec<&str> = self.databases.keys().map(String::as_str).collect();
            let message = format!(
                "Cannot find table '{}' in any of the catalogs [{}], nor as a temporary table.",
                path.quoted(),
                catalogs.join(", ")
            );
            return Err(SqlDiagnostic::new(name.span, message).with_hint("Create it with CREATE TABLE before this."));
        }
        self.table(name, Usage::Sink, hints)
    }

    /// An error about an object points into the text that created it.
    fn placed(&self, path: &Path, error: SqlDiagnostic) -> SqlDiagnostic {
        match self.find(path).and_then(|entry| entry.source.as_ref()) {
            Some((name, text)) => error.in_text(name, text),
            None => error,
        }
    }

    /// What options without effect there were since the last call.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.borrow_mut())
    }

    /// Refuses tables that nothing has used and that nothing could use: their options would go unread.
    pub fn check_unused(&self) -> SqlResult<()> {
        for (path, entry) in self.objects.iter().chain(&self.temporary) {
            let Object::Table(written) = &entry.object else { continue };
            if self.used.borrow().contains(path) || table::build(path, written, Usage::Sink).is_ok() {
                continue;
            }
            table::build(path, written, Usage::Source).map_err(|error| self.placed(path, error))?;
        }
        Ok(())
    }

    fn put(&mut self, path: Path, temporary: bool, entry: Entry) {
        let objects = if temporary { &mut self.temporary } else { &mut self.objects };
        objects.insert(path, entry);
    }

    /// Whether there is such an object already; an error unless that is fine.
    fn exists(&self, name: &Name, path: &Path, temporary: bool, fine: bool) -> SqlResult<bool> {
        let found = if temporary { self.temporary.contains_key(path) } else { self.objects.contains_key(path) };
        if found && !fine {
            let kind = if temporary { "Temporary table (or view)" } else { "Table (or view)" };
            let message = format!("{kind} {path} already exists.");
            return Err(SqlDiagnostic::new(name.span, message)
                .with_hint("Write DROP TABLE IF EXISTS before it, or CREATE … IF NOT EXISTS."));
        }
        Ok(found)
    }

    /// `CREATE TABLE`.
    pub fn create_table(&mut self, written: &CreateTable, source: Option<Source>) -> SqlResult<()> {
        let path = self.path(&written.name)?;
        if self.exists(&written.name, &path, written.temporary, written.if_not_exists)? {
            return Ok(());
        }
        let mut written = written.clone();
        if let Some(like) = written.like.take() {
            let (_, object) = self.object(&like.source)?;
            let Object::Table(other) = object else {
                return Err(
                    SqlDiagnostic::new(like.source.span, "LIKE of a view is not supported").with_hint("Name a table.")
                );
            };
            like::apply(&mut written, other, &like)?;
        }
        needs_connector(&written)?;
        table::check(&path, &written)?;
        let temporary = written.temporary;
        self.put(path, temporary, Entry { object: Object::Table(Box::new(written)), source });
        Ok(())
    }

    /// `CREATE VIEW`, its query checked by the caller.
    pub fn create_view(
        &mut self,
        name: &Name,
        (temporary, if_not_exists): (bool, bool),
        view: View,
        source: Option<Source>,
    ) -> SqlResult<()> {
        let path = self.path(name)?;
        if !self.exists(name, &path, temporary, if_not_exists)? {
            self.put(path, temporary, Entry { object: Object::View(view), source });
        }
        Ok(())
    }

    /// `DROP TABLE` and `DROP VIEW`.
    pub fn drop(&mut self, drop: &Drop) -> SqlResult<()> {
        let what = if drop.view { "View" } else { "Table" };
        let path = self.path(&drop.name)?;
        if !drop.temporary && self.temporary.contains_key(&path) {
            let kind = what.to_lowercase();
            let message = format!(
                "Temporary {kind} with identifier '{}' exists. Drop it first before removing the permanent {kind}.",
                path.quoted()
            );
            return Err(SqlDiagnostic::new(drop.name.span, message).with_hint(format!(
                "Write DROP TEMPORARY {} {}.",
                what.to_uppercase(),
                drop.name.last()
            )));
        }
        let objects = if drop.temporary { &mut self.temporary } else { &mut self.objects };
        let matches = |entry: &Entry| matches!(entry.object, Object::View(_)) == drop.view;
        if objects.get(&path).is_some_and(matches) {
            objects.remove(&path);
        } else if !drop.if_exists {
            let what = if drop.temporary { "Temporary table or view" } else { what };
            let message = format!("{what} with identifier '{path}' does not exist.");
            return Err(SqlDiagnostic::new(drop.name.span, message).with_hint("Write DROP … IF EXISTS."));
        }
        Ok(())
    }

    /// `ALTER TABLE|VIEW`, except of a view's query.
    pub fn alter(&mut self, alter: &Alter) -> SqlResult<()> {
        let path = self.path(&alter.name)?;
        let matches = |entry: &Entry| matches!(entry.object, Object::View(_)) == alter.view;
        if !alter.view && self.find(&path).is_some_and(|entry| matches!(entry.object, Object::View(_))) {
            return Err(SqlDiagnostic::new(alter.name.span, "ALTER TABLE for a view is not allowed")
                .with_hint("Write ALTER VIEW … AS and the query."));
        }
        if !self.objects.get(&path).is_some_and(matches) {
            if alter.if_exists {
                return Ok(());
            }
            let what = if alter.view { "View" } else { "Table" };
            let message = format!("{what} {} doesn't exist or is a temporary {}.", path.quoted(), what.to_lowercase());
            return Err(SqlDiagnostic::new(alter.name.span, message).with_hint("Create it before."));
        }
        if let Change::Rename(to) = &alter.change {
            let target = match to.parts.len() {
                1 => Path { name: to.last().to_owned(), ..path.clone() },
                _ => self.path(to)?,
            };
            self.exists(to, &target, false, false)?;
            if let Some(entry) = self.objects.remove(&path) {
                self.objects.insert(target, entry);
            }
            return Ok(());
        }
        let Some(Entry { object: Object::Table(written), .. }) = self.objects.get_mut(&path) else { return Ok(()) };
        match &alter.change {
            Change::Set(options) => merge_options(&mut written.options, options),
            Change::Schema(change) => {
                let mut changed = written.clone();
                alter::apply(&mut changed, change)?;
                table::check(&path, &changed)?;
                *written = changed;
            }
            Change::Reset(keys) => {
                if let Some(key) = keys.iter().find(|key| key.value == "connector") {
                    return Err(SqlDiagnostic::new(
                        key.span,
                        "ALTER TABLE RESET does not support changing 'connector'",
                    )
                    .with_hint("Set it to another one."));
                }
                written.options.retain(|(known, _)| !keys.iter().any(|key| key.value == known.value));
            }
            Change::Rename(_) | Change::Query(_) => {}
        }
        Ok(())
    }

    /// `CREATE DATABASE`.
    pub fn create_database(&mut self, name: &Name, if_not_exists: bool) -> SqlResult<()> {
        let (catalog, database) = self.database_of(name)?;
        let known = self.databases.entry(catalog.clone()).or_default();
        if !known.insert(database.clone()) && !if_not_exists {
            let message = format!("Database {database} already exists in Catalog {catalog}.");
            return Err(SqlDiagnostic::new(name.span, message).with_hint("Write CREATE DATABASE IF NOT EXISTS."));
        }
        Ok(())
    }

    /// `DROP DATABASE`.
    pub fn drop_database(&mut self, name: &Name, if_exists: bool, cascade: bool) -> SqlResult<()> {
        let (catalog, database) = self.database_of(name)?;
        if self.current == (catalog.clone(), database.clone()) {
            return Err(SqlDiagnostic::new(name.span, "Cannot drop a database which is currently in use.")
                .with_hint("USE another one before."));
        }
        let inside = |path: &Path| path.catalog == catalog && path.database == database;
        if !cascade && self.objects.keys().any(inside) {
            let message = format!("Database {database} in catalog {catalog} is not empty.");
            return Err(SqlDiagnostic::new(name.span, message).with_hint("Write CASCADE, or drop its tables before."));
        }
        let known = self.databases.get_mut(&catalog);
        if !known.is_some_and(|known| known.remove(&database)) && !if_exists {
            return Err(self.no_database(&database, &catalog, name.span));
        }
        self.objects.retain(|path, _| !inside(path));
        Ok(())
    }

    fn database_of(&self, name: &Name) -> SqlResult<(String, String)> {
        match name.parts.as_slice() {
            [database] => Ok((self.current.0.clone(), database.clone())),
            [catalog, database] if self.databases.contains_key(catalog) => Ok((catalog.clone(), database.clone())),
            [catalog, ..] => Err(no_catalog(catalog, name.span)),
            [] => Err(no_catalog("", name.span)),
        }
    }

    fn no_database(&self, database: &str, catalog: &str, span: Span) -> SqlDiagnostic {
        let message = format!("A database with name [{database}] does not exist in the catalog: [{catalog}].");
        SqlDiagnostic::new(span, message).with_hint("Create it with CREATE DATABASE, or write default_database.")
    }

    /// `USE database`.
    pub fn use_database(&mut self, name: &Name) -> SqlResult<()> {
        let (catalog, database) = self.database_of(name)?;
        if !self.databases.get(&catalog).is_some_and(|known| known.contains(&database)) {
            return Err(self.no_database(&database, &catalog, name.span));
        }
        self.current = (catalog, database);
        Ok(())
    }

    /// `USE CATALOG`.
    pub fn use_catalog(&mut self, name: &Spanned<String>) -> SqlResult<()> {
        if !self.databases.contains_key(&name.value) {
            return Err(no_catalog(&name.value, name.span));
        }
        self.current = (name.value.clone(), DEFAULT_DATABASE.to_owned());
        Ok(())
    }
}

fn no_catalog(name: &str, span: Span) -> SqlDiagnostic {
    SqlDiagnostic::new(span, format!("A catalog with name [{name}] does not exist."))
        .with_hint("There is one catalog, default_catalog.")
}

/// A table of the catalog is kept by a connector.
fn needs_connector(written: &CreateTable) -> SqlResult<()> {
    if written.temporary || written.options.iter().any(|(key, _)| key.value == "connector") {
        return Ok(());
    }
    let message = "Table options do not contain an option key 'connector' for discovering a connector.";
    Err(SqlDiagnostic::new(written.name.span, message).with_hint("Write WITH ('connector' = '…', …)."))
}

/// Later options win.
fn merge_options(options: &mut Vec<WrittenOption>, over: &[WrittenOption]) {
    for (key, value) in over {
        match options.iter_mut().find(|(known, _)| known.value == key.value) {
            Some(known) => known.1 = value.clone(),
            None => options.push((key.clone(), value.clone())),
        }
    }
}
