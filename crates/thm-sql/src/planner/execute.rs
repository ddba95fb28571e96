//! A session: statement after statement, each with what it gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use sqlparser::ast::{Query as AstQuery, SelectItem, SetExpr};

use super::graph::{Collected, Graph};
use super::insert::{self, JobOptions};
use super::session::Settings;
use super::{CompileContext, JobPlan, plan};
use crate::analyzer::query::{Binder, Query, twice};
use crate::catalog::show::{self, TableResult};
use crate::catalog::{Catalog, Source, View};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{
    Alter, Change, Column, ColumnKind, CreateTableAs, CreateView, Insert, Parsed, Show, Shown, Spanned, Statement,
    WrittenType,
};
use crate::parser::hints::Hints;
use crate::stack::with_room;
use crate::types::zone::Zone;
use crate::types::{DataType, LogicalType};

/// A query to be answered.
#[derive(Clone, Debug)]
pub struct Selection {
    pub(crate) query: Query,
    pub(crate) zone: Zone,
}

impl Selection {
    /// The query as a job of that name, and where its rows come.
    pub fn job(&self, name: &str, context: &CompileContext) -> SqlResult<(JobPlan, Collected)> {
        let collected = Collected::default();
        let graph = insert::select(self.query.clone(), collected.clone(), context)?.in_zone(self.zone);
        let checkpoint_interval = super::DEFAULT_CHECKPOINT_INTERVAL;
        let restart = super::Restart::None;
        Ok((JobPlan { name: name.to_owned(), checkpoint_interval, restart, graph: Arc::new(graph) }, collected))
    }

    /// Whether it could run as a stream: what keeps state is refused by name.
    pub fn check_stream(&self) -> SqlResult<()> {
        super::flatten::lines(self.query.clone()).map(drop)
    }

    /// Name and type of each column.
    #[must_use]
    pub fn schema(&self) -> Vec<(String, DataType)> {
        self.query.schema()
    }
}

/// What a statement gives.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing to show.
    Done,
    /// Rows.
    Table(TableResult),
    /// Jobs to run.
    Jobs(Vec<JobPlan>),
    /// A query to answer.
    Select(Box<Selection>),
}

/// Tables, views and options, statement after statement.
#[derive(Debug, Default)]
pub struct Session {
    catalog: Catalog,
    settings: Settings,
    jars: BTreeSet<String>,
    names: BTreeSet<String>,
    notices: Vec<String>,
    context: CompileContext,
}

impl Session {
    /// An empty one.
    #[must_use]
    pub fn new(context: CompileContext) -> Self {
        Self { context, ..Self::default() }
    }

    /// Runs a statement. `source` is the text it stands in, for errors that point into it later.
    pub fn execute(&mut self, parsed: &Parsed, source: Option<(&str, &Arc<String>)>) -> SqlResult<Outcome> {
        let source = source.map(|(name, text)| (name.to_owned(), Arc::clone(text)));
        let out = with_room(|| self.statement(&parsed.statement, &parsed.hints, source))?;
        parsed.hints.all_used()?;
        self.notices.extend(parsed.hints.without_effect());
        self.notices.extend(self.catalog.take_notices());
        Ok(out)
    }

    /// What was accepted without effect since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// What statements are compiled against.
    #[must_use]
    pub const fn context(&self) -> &CompileContext {
        &self.context
    }

    /// Forgets the names of the jobs so far, for those who do not keep the jobs.
    pub fn forget_jobs(&mut self) {
        self.names.clear();
    }

    /// Refuses tables that nothing has used and nothing could use.
    pub fn check_unused(&self) -> SqlResult<()> {
        self.catalog.check_unused()
    }

    /// The value of an option that has been set.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.settings.get(key)
    }

    fn statement(&mut self, statement: &Statement, hints: &Arc<Hints>, source: Option<Source>) -> SqlResult<Outcome> {
        match statement {
            Statement::Set { key, value } => self.notices.extend(self.settings.set(key, value)?),
            Statement::ShowOptions => return Ok(Outcome::Table(self.options())),
            Statement::Reset(key) => self.settings.reset(key.as_ref().map(|key| key.value.as_str())),
            Statement::AddJar(path) => self.add_jar(path),
            Statement::RemoveJar(path) => drop(self.jars.remove(&path.value)),
            Statement::Drop(drop) => self.catalog.drop(drop)?,
            Statement::CreateTable(table) => self.catalog.create_table(table, source)?,
            Statement::CreateTableAs(create) => {
                return Ok(Outcome::Jobs(vec![self.create_table_as(create, hints, source)?]));
            }
            Statement::CreateView(view) => self.create_view(view, hints, source)?,
            Statement::Alter(alter) => self.alter(alter, hints)?,
            Statement::CreateDatabase { name, if_not_exists } => self.catalog.create_database(name, *if_not_exists)?,
            Statement::DropDatabase { name, if_exists, cascade } => {
                self.catalog.drop_database(name, *if_exists, *cascade)?;
            }
            Statement::UseDatabase(name) => self.catalog.use_database(name)?,
            Statement::UseCatalog(name) => self.catalog.use_catalog(name)?,
            Statement::Show(show) => return self.show(show).map(Outcome::Table),
            Statement::Describe(name) => return show::describe(&self.catalog, name).map(Outcome::Table),
            Statement::Explain { inner, changelog_mode } => return self.explain(inner, hints, *changelog_mode),
            Statement::Insert(insert) => return Ok(Outcome::Jobs(vec![self.job(insert, hints, self.own_name())?])),
            Statement::StatementSet(inserts) => return self.statement_set(inserts, hints).map(Outcome::Jobs),
            Statement::Query(query) => {
                let query = self.select(query, hints)?;
                return Ok(Outcome::Select(Box::new(Selection { query, zone: self.settings.zone() })));
            }
        }
        Ok(Outcome::Done)
    }

    fn select(&self, query: &AstQuery, hints: &Hints) -> SqlResult<Query> {
        let mut query = Binder::new(&self.catalog, hints).query(query)?;
        query.unique_names();
        Ok(query)
    }

    fn add_jar(&mut self, path: &Spanned<String>) {
        self.notices.push(format!("ADD JAR '{}' is not needed: connectors and formats are built in", path.value));
        self.jars.insert(path.value.clone());
    }

    fn create_view(&mut self, view: &CreateView, hints: &Arc<Hints>, source: Option<Source>) -> SqlResult<()> {
        if let Some(name) = twice(names_of(view).into_iter()) {
            let message = format!("A column with the same name `{name}` has been defined");
            return Err(SqlDiagnostic::new(view.name.span, message).with_hint("Give every column its own name."));
        }
        let mut query = Binder::new(&self.catalog, hints).query(&view.query)?;
        query.unique_names();
        let mut schema = query.schema();
        if !view.columns.is_empty() {
            if view.columns.len() != schema.len() {
                let message = format!(
                    "VIEW definition and input fields not match:\n\tDef fields: {:?}.\n\tInput fields: {:?}.",
                    view.columns.iter().map(|column| column.value.as_str()).collect::<Vec<_>>(),
                    schema.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()
                );
                return Err(SqlDiagnostic::new(view.name.span, message).with_hint("Name every column, or none."));
            }
            schema.iter_mut().zip(&view.columns).for_each(|((name, _), column)| name.clone_from(&column.value));
        }
        let columns = view.columns.clone();
        let object = View { columns, query: view.query.clone(), hints: Arc::clone(hints), schema };
        self.catalog.create_view(&view.name, (view.temporary, view.if_not_exists), object, source)
    }

    /// `CREATE TABLE … AS SELECT …`: a table with the query's columns, and the job that fills it.
    fn create_table_as(
        &mut self,
        create: &CreateTableAs,
        hints: &Arc<Hints>,
        source: Option<Source>,
    ) -> SqlResult<JobPlan> {
        let query = self.select(&create.query, hints)?;
        let mut table = create.table.clone();
        table.columns = query
            .schema()
            .into_iter()
            .map(|(name, data_type)| written_column(&name, data_type, table.name.span))
            .collect::<SqlResult<_>>()?;
        let before = self.catalog.clone();
        self.catalog.create_table(&table, source)?;
        let insert = Insert {
            table: table.name,
            columns: Vec::new(),
            partition: Vec::new(),
            query: create.query.clone(),
            span: create.span,
        };
        // A table that cannot be filled is not created.
        self.job(&insert, hints, self.own_name()).inspect_err(|_| self.catalog = before)
    }

    fn alter(&mut self, alter: &Alter, hints: &Arc<Hints>) -> SqlResult<()> {
        let Change::Query(query) = &alter.change else { return self.catalog.alter(alter) };
        // Checks that there is such a view.
        let none = Alter { change: Change::Set(Vec::new()), ..alter.clone() };
        self.catalog.alter(&none)?;
        let name = alter.name.clone();
        let (columns, comment, query) = (Vec::new(), None, query.clone());
        let written = CreateView { name, temporary: false, if_not_exists: false, columns, comment, query };
        self.catalog.drop(&crate::parser::ast::Drop {
            name: alter.name.clone(),
            if_exists: true,
            temporary: false,
            view: true,
        })?;
        self.create_view(&written, hints, None)
    }

    fn graph(&self, insert: &Insert, hints: &Hints) -> SqlResult<Graph> {
        let options = JobOptions { errors: self.settings.errors(), drop_nulls: self.settings.drop_nulls() };
        let graph = insert::graph(&self.catalog, hints, insert, &self.context, options)?;
        Ok(graph.in_zone(self.settings.zone()))
    }

    /// What the session's jobs are named, if it says so.
    fn own_name(&self) -> Option<String> {
        self.settings.get("pipeline.name").map(str::to_owned)
    }

    fn job(&mut self, insert: &Insert, hints: &Hints, name: Option<String>) -> SqlResult<JobPlan> {
        let graph = self.graph(insert, hints)?;
        let path = self.catalog.path(&insert.table)?;
        let name = self.free_name(name.unwrap_or_else(|| format!("{}{path}", plan::NAME_PREFIX)));
        let (checkpoint_interval, restart) = (self.settings.checkpoint_interval(), self.settings.restart());
        Ok(JobPlan { name, checkpoint_interval, restart, graph: Arc::new(graph) })
    }

    /// A name that no job of the session has: a job is known by it. Where Flink has several jobs of one name, the second
    /// has a number here.
    fn free_name(&mut self, wanted: String) -> String {
        let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let name = names.find(|name| !self.names.contains(name)).expect("there are more numbers than jobs");
        if name != wanted {
            self.notices.push(format!(
                "there is a job '{wanted}' already, this one is known as '{name}': SET 'pipeline.name' before an INSERT gives it \
                 a name that does not depend on their order"
            ));
        }
        self.names.insert(name.clone());
        name
    }

    /// One job for each INSERT; with a name for the set, each is named after it and its table.
    fn statement_set(&mut self, inserts: &[Insert], hints: &Hints) -> SqlResult<Vec<JobPlan>> {
        let mut jobs = Vec::with_capacity(inserts.len());
        for insert in inserts {
            let several = inserts.len() > 1;
            let of_table = |set: String| if several { format!("{set}.{}", insert.table.last()) } else { set };
            jobs.push(self.job(insert, hints, self.own_name().map(of_table))?);
        }
        if inserts.len() > 1 {
            self.notices.push(format!("the statement set runs as {} jobs, one per INSERT", inserts.len()));
        }
        Ok(jobs)
    }

    fn explain(&mut self, inner: &Statement, hints: &Arc<Hints>, changelog_mode: bool) -> SqlResult<Outcome> {
        let mut text = String::new();
        let known = self.names.clone();
        let jobs = match inner {
            Statement::Insert(insert) => vec![self.job(insert, hints, self.own_name())?],
            Statement::StatementSet(inserts) => self.statement_set(inserts, hints)?,
            Statement::Query(query) => {
                let query = self.select(query, hints)?;
                text = super::bounded::explain(&query);
                if changelog_mode {
                    // What keeps state is answered over constants alone, and they are only inserted.
                    let graph = insert::select(query, Collected::default(), &self.context);
                    let mode = graph.map_or("I", |graph| graph.changelog_mode());
                    text = text.lines().map(|line| super::plan::with_mode(line, Some(mode)) + "\n").collect();
                }
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.names = known;
        let explained = |job: &JobPlan| if changelog_mode { job.explain_changes() } else { job.explain() };
        jobs.iter().for_each(|job| text.push_str(&explained(job)));
        Ok(Outcome::Table(TableResult::texts("result", [text])))
    }

    fn options(&self) -> TableResult {
        let column = |name: &str| (name.to_owned(), LogicalType::STRING.nullable(true));
        let row = |(key, value): (&String, &String)| vec![Value::from(key.as_str()), Value::from(value.as_str())];
        TableResult { columns: vec![column("key"), column("value")], rows: self.settings.all().map(row).collect() }
    }

    fn show(&self, show: &Show) -> SqlResult<TableResult> {
        if let Shown::Jars = show.what {
            return Ok(TableResult::texts("jars", self.jars.iter().cloned()));
        }
        show::show(&self.catalog, show)
    }
}

/// A column as CREATE TABLE would have it.
fn written_column(name: &str, data_type: DataType, span: sqlparser::tokenizer::Span) -> SqlResult<Column> {
    let name = sqlparser::ast::Ident::with_quote('`', name);
    let nullable = data_type.nullable;
    let data_type = crate::parser::parse_type(&data_type.kind.to_string())?;
    let written = WrittenType { data_type, span, nullable };
    Ok(Column { name, kind: ColumnKind::Physical(written), comment: None })
}

/// Names that a view gives its columns: those behind its own name, or else those behind AS.
fn names_of(view: &CreateView) -> Vec<&str> {
    if !view.columns.is_empty() {
        return view.columns.iter().map(|column| column.value.as_str()).collect();
    }
    let SetExpr::Select(select) = &*view.query.body else { return Vec::new() };
    select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.as_str()),
            _ => None,
        })
        .collect()
}
