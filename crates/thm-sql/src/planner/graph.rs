//! What a job does: sources in branches, what their rows pass, one sink. Plain data; its `Debug` form is its version.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use parking_lot::Mutex;
use thm_api::RowKind;

use crate::analyzer::LookupHint;
use crate::catalog::PhysicalColumn;
use crate::connector::datagen::DatagenTable;
use crate::connector::jdbc::JdbcTable;
use crate::connector::kafka::{Partitioner, Startup, Stop, Topics};
use crate::expr::Expr;
use crate::format::{Field, Format, JsonOptions, ValueFormat};
use crate::types::zone::Zone;
use crate::types::{DataType, LogicalType};

/// Rows that a query has given so far, for whoever asked.
#[derive(Clone, Default)]
pub struct Collected(Arc<Mutex<Vec<CollectedRows>>>);

/// Some rows.
#[derive(Clone, Debug)]
pub struct CollectedRows {
    /// What each row means.
    pub kinds: Vec<RowKind>,
    /// Values by column.
    pub columns: Vec<ArrayRef>,
}

impl Collected {
    /// Takes what has come since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<CollectedRows> {
        std::mem::take(&mut *self.0.lock())
    }

    pub(crate) fn put(&self, rows: CollectedRows) {
        self.0.lock().push(rows);
    }
}

// Two queries of one text are one plan.
impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collected")
    }
}

/// What a job does.
#[derive(Debug)]
pub(crate) struct Graph {
    pub branches: Vec<Branch>,
    pub lookups: Vec<LookupNode>,
    pub sink: SinkNode,
    pub errors: ErrorPolicy,
}

/// A source and what its rows pass up to the sink.
#[derive(Debug)]
pub(crate) struct Branch {
    pub source: SourceNode,
    pub steps: Vec<StepNode>,
    /// One per column of the sink, of the column's type.
    pub values: Vec<Expr>,
    /// Columns of the source that the sink's key and topic come from; empty where one comes from elsewhere.
    pub key_sources: Vec<String>,
}

/// Where rows come from.
#[derive(Debug)]
pub(crate) struct SourceNode {
    pub table: String,
    pub kind: SourceKind,
    pub fields: Vec<Field>,
}

/// Kinds of sources.
#[derive(Debug)]
pub(crate) enum SourceKind {
    Topics(Box<TopicSource>),
    Values { types: Vec<DataType>, rows: Vec<Vec<Expr>> },
    Files { path: PathBuf, format: Format },
    Datagen(DatagenTable),
}

/// Topics that are read.
#[derive(Debug)]
pub(crate) struct TopicSource {
    pub topics: Topics,
    pub value: Format,
    /// Format of the key, if there is one: a key that cannot be read costs its record also where no column comes from it.
    pub key: Option<Format>,
    /// The key's columns, in the order in which they stand in it.
    pub key_fields: Vec<usize>,
    pub startup: Startup,
    pub stop: Stop,
    /// `upsert-kafka`: a record is the new row of its key, a tombstone its end.
    pub upsert: bool,
    /// Of `upsert-kafka`: the key's columns are in the value too, which is where they are read.
    pub key_in_value: bool,
    /// Whether old rows are wanted (-U and whole -D), as far as records tell them.
    pub retract: bool,
}

impl SourceNode {
    /// Whether rows may be updated and deleted.
    pub fn changes(&self) -> bool {
        match &self.kind {
            SourceKind::Topics(topics) => topics.upsert || topics.value.kind == ValueFormat::DebeziumJson,
            SourceKind::Files { format, .. } => format.kind == ValueFormat::DebeziumJson,
            _ => false,
        }
    }

    /// Names of the topics that are read, if they are named.
    pub fn topics(&self) -> &[String] {
        match &self.kind {
            SourceKind::Topics(topics) => &topics.topics.names,
            _ => &[],
        }
    }

    /// The pattern of the topics that are read, if they are not named.
    pub fn pattern(&self) -> Option<&str> {
        match &self.kind {
            SourceKind::Topics(topics) => topics.topics.pattern.as_deref(),
            _ => None,
        }
    }

    /// Pause between looks for new topics and partitions; none if it ends, or is told not to look.
    pub fn discovery(&self) -> Option<Duration> {
        match &self.kind {
            SourceKind::Topics(topics) if topics.stop == Stop::Unbounded => topics.topics.discovery,
            _ => None,
        }
    }

    /// Whether it never ends.
    pub fn is_unbounded(&self) -> bool {
        matches!(&self.kind, SourceKind::Topics(topics) if topics.stop == Stop::Unbounded)
    }

    /// What stands behind the table, for people.
    pub fn place(&self) -> String {
        match &self.kind {
            SourceKind::Topics(topics) => topics.topics.place(),
            SourceKind::Values { rows, .. } => format!("{} rows", rows.len()),
            SourceKind::Files { path, .. } => path.display().to_string(),
            SourceKind::Datagen(_) => "datagen".to_owned(),
        }
    }
}

impl Branch {
    /// Which changes its rows are, as Flink writes it.
    pub fn changelog_mode(&self) -> &'static str {
        match &self.source.kind {
            _ if !self.source.changes() => "I",
            SourceKind::Topics(topics) if topics.upsert && !topics.retract => "UA,D",
            SourceKind::Topics(topics) if !topics.retract => "I,UA,D",
            _ => "I,UB,UA,D",
        }
    }
}

impl Graph {
    /// Which changes reach the sink.
    pub fn changelog_mode(&self) -> &'static str {
        let modes = self.branches.iter().map(Branch::changelog_mode);
        modes.max_by_key(|mode| mode.len()).unwrap_or("I")
    }

    /// Names of the columns that expressions of a branch read, for people.
    pub fn names(&self, branch: usize) -> Vec<String> {
        let branch = &self.branches[branch];
        let mut names: Vec<String> = branch.source.fields.iter().map(|field| field.name.clone()).collect();
        for step in &branch.steps {
            match step {
                StepNode::Filter(_) => {}
                StepNode::Lookup(index) => {
                    let node = &self.lookups[*index];
                    names.extend(node.fields.iter().map(|field| format!("{}.{}", node.table, field.name)));
                }
                StepNode::Unnest { types, .. } => names.extend((1..=types.len()).map(|at| format!("element{at}"))),
            }
        }
        names
    }

    /// What a step computes, for people.
    pub fn step(&self, branch: usize, step: usize) -> String {
        let names = self.names(branch);
        let both = |(key, own): (&Expr, &Expr), table: &str| {
            let own_names: Vec<String> =
                names.iter().filter_map(|name| name.strip_prefix(table)).map(str::to_owned).collect();
            format!("{} = {table}{}", key.sql(&names), own.sql(&own_names))
        };
        match self.branches[branch].steps.get(step) {
            Some(StepNode::Filter(condition)) => format!("WHERE {}", condition.sql(&names)),
            Some(StepNode::Unnest { collection, .. }) => format!("UNNEST({})", collection.sql(&names)),
            Some(StepNode::Lookup(index)) => {
                let node = &self.lookups[*index];
                let table = format!("{}.", node.table);
                let keys = node.keys.iter().zip(&node.table_keys).map(|pair| both(pair, &table));
                let residual = node.residual.iter().map(|residual| residual.sql(&names));
                format!("ON {}", keys.chain(residual).collect::<Vec<_>>().join(" AND "))
            }
            None => String::new(),
        }
    }

    /// The same with the session's time zone in every expression.
    pub fn in_zone(mut self, zone: Zone) -> Self {
        let set = |expr: &mut Expr| {
            let taken = std::mem::replace(expr, Expr::null(crate::types::LogicalType::Null));
            *expr = taken.in_zone(zone);
        };
        for branch in &mut self.branches {
            branch.values.iter_mut().for_each(set);
            for step in &mut branch.steps {
                match step {
                    StepNode::Filter(expr) | StepNode::Unnest { collection: expr, .. } => set(expr),
                    StepNode::Lookup(_) => {}
                }
            }
            if let SourceKind::Values { rows, .. } = &mut branch.source.kind {
                rows.iter_mut().flatten().for_each(set);
            }
        }
        for lookup in &mut self.lookups {
            lookup.keys.iter_mut().chain(&mut lookup.table_keys).chain(&mut lookup.residual).for_each(set);
        }
        self
    }
}

impl Branch {
    /// Lets seeded functions begin anew, as a run of a job does.
    pub fn restart(&self) {
        self.values.iter().for_each(Expr::restart);
        for step in &self.steps {
            if let StepNode::Filter(expr) | StepNode::Unnest { collection: expr, .. } = step {
                expr.restart();
            }
        }
    }
}

/// What rows pass.
#[derive(Debug)]
pub(crate) enum StepNode {
    Filter(Expr),
    /// The n-th look-up.
    Lookup(usize),
    /// Elements of a collection as rows.
    Unnest {
        collection: Expr,
        types: Vec<DataType>,
        ordinality: bool,
        outer: bool,
    },
}

/// A look-up.
#[derive(Debug)]
pub(crate) struct LookupNode {
    pub table: String,
    pub feed: Feed,
    pub fields: Vec<Field>,
    pub keys: Vec<Expr>,
    pub table_keys: Vec<Expr>,
    pub residual: Option<Expr>,
    pub outer: bool,
}

/// Where a look-up's rows come from.
#[derive(Debug)]
pub(crate) enum Feed {
    /// The topic that carries the changes of a captured table (`schema.table`): never stale.
    Topic { captured: String, topic: String, options: JsonOptions },
    /// The database, asked for keys when they come.
    Database {
        jdbc: Box<JdbcTable>,
        hint: LookupHint,
        /// The table's columns that are compared with keys, and in which types.
        keys: Vec<(usize, LogicalType)>,
    },
}

impl LookupNode {
    /// The topic that feeds it.
    pub fn topic(&self) -> Option<&str> {
        match &self.feed {
            Feed::Topic { topic, .. } => Some(topic),
            Feed::Database { .. } => None,
        }
    }
}

/// What is written.
#[derive(Debug)]
pub(crate) struct SinkNode {
    pub table: String,
    /// `catalog.database.table`
    pub path: String,
    pub kind: SinkKind,
    /// Physical columns, then written metadata.
    pub columns: Vec<PhysicalColumn>,
    /// For the n-th column that INSERT fills: its index in `columns`.
    pub order: Vec<usize>,
    /// Columns that identify a row, for a sink that takes updates and deletes by key.
    pub key: Vec<usize>,
    /// Rows with a NULL in a NOT NULL column are dropped instead of failing the job.
    pub drop_nulls: bool,
}

/// Kinds of sinks.
#[derive(Debug)]
pub(crate) enum SinkKind {
    Topic(Box<TopicSink>),
    Files {
        path: PathBuf,
        format: Format,
    },
    Print {
        identifier: String,
        standard_error: bool,
    },
    Blackhole,
    /// Into memory, for shells and tests.
    Collect(Collected),
}

/// A topic that is written.
#[derive(Debug)]
pub(crate) struct TopicSink {
    /// One, or those from which the metadata column `topic` chooses.
    pub topics: Topics,
    /// Where that column is.
    pub topic: Option<usize>,
    /// Columns of the record's key under the names they have there, and its format.
    pub key: Option<(Format, Vec<(usize, String)>)>,
    pub value: Format,
    /// Columns of the value under the names they have there.
    pub fields: Vec<(usize, String)>,
    /// Updates and deletes go by key: a delete is a tombstone.
    pub upsert: bool,
    pub partitioner: Partitioner,
    /// Metadata columns: the record's timestamp and its headers.
    pub timestamp: Option<usize>,
    pub headers: Option<usize>,
}

impl SinkNode {
    /// The topics it writes, if it does.
    pub fn topics(&self) -> Option<&Topics> {
        match &self.kind {
            SinkKind::Topic(sink) => Some(&sink.topics),
            _ => None,
        }
    }

    /// Columns that say of a row where it belongs: the key's, and that of its topic.
    pub fn identity(&self) -> impl Iterator<Item = usize> {
        let topic = match &self.kind {
            SinkKind::Topic(sink) => sink.topic,
            _ => None,
        };
        self.key.iter().copied().chain(topic)
    }

    /// What stands behind the table, for people.
    pub fn place(&self) -> String {
        match &self.kind {
            SinkKind::Topic(sink) => sink.topics.place(),
            SinkKind::Files { path, .. } => path.display().to_string(),
            SinkKind::Print { .. } => "print".to_owned(),
            SinkKind::Blackhole => "blackhole".to_owned(),
            SinkKind::Collect(_) => "client".to_owned(),
        }
    }
}

/// What happens to a row that cannot be evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorPolicy {
    /// Go on with the next row.
    pub tolerate: bool,
    /// Where its record goes.
    pub dead_letters: Option<String>,
}
