//! `JobPlan`: one INSERT, ready to run: what is read, what rows pass, what is written.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::catalog::PhysicalColumn;
use crate::connector::kafka::{Startup, ValueFormat};
use crate::expr::Expr;
use crate::format::{Field, JsonOptions};

/// Flink SQL's prefix of a job that one INSERT makes.
pub(super) const NAME_PREFIX: &str = "insert-into_default_catalog.default_database.";

/// A job, as the manager runs it.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// Its name: `pipeline.name`, or as Flink makes it from the sink.
    pub name: String,
    /// Pause between checkpoints.
    pub checkpoint_interval: Duration,
    pub(crate) graph: Arc<Graph>,
}

/// What a job does.
#[derive(Debug)]
pub(crate) struct Graph {
    pub source: SourceNode,
    pub steps: Vec<StepNode>,
    pub lookups: Vec<LookupNode>,
    pub sink: SinkNode,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct SourceNode {
    pub table: String,
    pub topic: String,
    pub format: ValueFormat,
    pub options: JsonOptions,
    pub fields: Vec<Field>,
    pub startup: Startup,
}

/// What rows pass.
#[derive(Debug)]
pub(crate) enum StepNode {
    Filter(Expr),
    /// The n-th look-up.
    Lookup(usize),
}

/// A look-up table, fed by the topic of the captured table behind it.
#[derive(Debug)]
pub(crate) struct LookupNode {
    pub table: String,
    /// `schema.table` in the database.
    pub captured: String,
    pub topic: String,
    pub fields: Vec<Field>,
    pub options: JsonOptions,
    pub keys: Vec<Expr>,
    pub table_keys: Vec<Expr>,
    pub residual: Option<Expr>,
    pub outer: bool,
}

/// What is written.
#[derive(Debug)]
pub(crate) struct SinkNode {
    pub table: String,
    pub topic: String,
    pub columns: Vec<PhysicalColumn>,
    /// One per column, of the column's type.
    pub values: Vec<Expr>,
    /// Columns of the record's key; none for an append-only sink.
    pub key: Vec<usize>,
    pub key_options: JsonOptions,
    pub value_options: JsonOptions,
    pub except_key: bool,
    /// Columns of the source that the key comes from.
    pub key_sources: Vec<String>,
}

impl JobPlan {
    /// 32 lower-case hexadecimal digits, stable from the name.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.name.as_bytes());
        hex::encode(&digest[..16])
    }

    /// Changes when the plan does anything else than before.
    #[must_use]
    pub fn hash(&self) -> String {
        digest(&self.graph)
    }

    /// Changes when a look-up's state no longer fits.
    pub(crate) fn lookup_hash(&self, index: usize) -> String {
        let node = &self.graph.lookups[index];
        digest(&(&node.topic, &node.fields, &node.table_keys))
    }

    /// Changes when the records' keys mean something else.
    pub(crate) fn key_hash(&self) -> String {
        let sink = &self.graph.sink;
        let key: Vec<_> = sink.key.iter().map(|index| (&sink.columns[*index], &sink.values[*index])).collect();
        digest(&(&sink.topic, key))
    }

    /// Name of the sink's producer in the log.
    #[must_use]
    pub fn producer(&self) -> String {
        format!("job:{}", self.name)
    }

    /// Topics that the job reads: the stream's, then those of the look-ups.
    #[must_use]
    pub fn source_topics(&self) -> Vec<&str> {
        let lookups = self.graph.lookups.iter().map(|lookup| lookup.topic.as_str());
        std::iter::once(self.graph.source.topic.as_str()).chain(lookups).collect()
    }

    /// The topic that the job writes.
    #[must_use]
    pub fn sink_topic(&self) -> &str {
        &self.graph.sink.topic
    }

    /// The plan for people.
    #[must_use]
    pub fn explain(&self) -> String {
        let graph = &*self.graph;
        let mut out = String::new();
        let mode = if graph.sink.key.is_empty() { "append" } else { "upsert" };
        let key: Vec<&str> = graph.sink.key.iter().map(|index| graph.sink.columns[*index].name.as_str()).collect();
        // Writing to a String never fails.
        let _ = writeln!(out, "Job {} ({})", self.name, self.id());
        let _ = writeln!(
            out,
            "Sink(table=[{}], topic=[{}], mode=[{mode}], key=[{}])",
            graph.sink.table,
            graph.sink.topic,
            key.join(", ")
        );
        let _ = writeln!(out, "+- Calc(select=[{}])", names(&graph.sink.columns));
        for step in graph.steps.iter().rev() {
            match step {
                StepNode::Filter(_) => out.push_str("   +- Filter\n"),
                StepNode::Lookup(index) => {
                    let lookup = &graph.lookups[*index];
                    let kind = if lookup.outer { "LeftOuterJoin" } else { "InnerJoin" };
                    let _ = writeln!(
                        out,
                        "   +- LookupJoin(table=[{}], type=[{kind}], fed by=[topic {} of {}], as of=[the row's own commit])",
                        lookup.table, lookup.topic, lookup.captured
                    );
                }
            }
        }
        let source = &graph.source;
        let _ = writeln!(
            out,
            "      +- Source(table=[{}], topic=[{}], format=[{}], startup=[{:?}])",
            source.table,
            source.topic,
            match source.format {
                ValueFormat::Json => "json",
                ValueFormat::DebeziumJson => "debezium-json",
            },
            source.startup
        );
        out.push_str("Delivery: exactly once, from log to log\n");
        out
    }
}

fn names(columns: &[PhysicalColumn]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Of what `Debug` shows: plans are plain data.
fn digest(value: &impl std::fmt::Debug) -> String {
    hex::encode(&Sha256::digest(format!("{value:?}"))[..16])
}
