//! `JobPlan`: one INSERT, ready to run: what is read, what rows pass, what is written.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::form;
use super::graph::{Branch, Feed, Graph, SinkKind, SourceKind, StepNode};
use crate::analyzer::LookupHint;
use crate::catalog::PhysicalColumn;
use crate::connector::jdbc::{Cache, JdbcTable};
use crate::connector::kafka::{Startup, Stop, Topics};

/// Flink SQL's prefix of a job that one INSERT makes.
pub(super) const NAME_PREFIX: &str = "insert-into_";

/// A job, as the manager runs it.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// Its name: `pipeline.name`, or as Flink makes it from the sink.
    pub name: String,
    /// Pause between checkpoints.
    pub checkpoint_interval: Duration,
    /// When it starts again after a failure that may pass.
    pub restart: super::Restart,
    pub(crate) graph: Arc<Graph>,
}

impl JobPlan {
    /// 32 lower-case hexadecimal digits, stable from the name.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.name.as_bytes());
        hex::encode(&digest[..16])
    }

    /// Changes when the plan does anything else than before. Known to one run of the program only.
    #[must_use]
    pub fn hash(&self) -> String {
        // Plans are plain data: what `Debug` shows is all of them.
        hex::encode(&Sha256::digest(format!("{:?}", self.graph))[..16])
    }

    /// The same job with an end where its topics end now, its rows collected instead of written. It begins at the start of
    /// its topics; a time at which it shall begin or end counts.
    #[must_use]
    pub fn preview(self) -> (Self, super::Collected, Vec<(String, crate::types::DataType)>) {
        let collected = super::Collected::default();
        let mut plan = self;
        let columns = plan.graph.sink.columns.iter().map(|column| (column.name.clone(), column.data_type)).collect();
        if let Some(graph) = Arc::get_mut(&mut plan.graph) {
            graph.sink.kind = SinkKind::Collect(collected.clone());
            for branch in &mut graph.branches {
                if let SourceKind::Topics(topics) = &mut branch.source.kind {
                    if !matches!(topics.stop, Stop::Timestamp(_)) {
                        topics.stop = Stop::Latest;
                    }
                    if !matches!(topics.startup, Startup::Timestamp(_)) {
                        topics.startup = Startup::Earliest;
                    }
                }
            }
        }
        (plan, collected, columns)
    }

    /// Whether it begins or ends at offsets, which a preview does not know.
    #[must_use]
    pub fn has_offsets(&self) -> bool {
        let by_offset = |branch: &Branch| match &branch.source.kind {
            SourceKind::Topics(topics) => {
                matches!(topics.startup, Startup::Offsets(..))
                    || matches!(topics.stop, Stop::Offsets(_) | Stop::Group(_))
            }
            _ => false,
        };
        self.graph.branches.iter().any(by_offset)
    }

    /// Changes when a look-up's state no longer fits. Kept in checkpoints.
    pub(crate) fn lookup_hash(&self, index: usize) -> String {
        form::hash(&form::lookup(&self.graph.lookups[index]))
    }

    /// The hash of a look-up if its database were asked, as before a source captured its table.
    pub(crate) fn asked_lookup_hash(&self, index: usize) -> String {
        form::hash(&form::lookup_asked(&self.graph.lookups[index]))
    }

    /// Changes when the records' keys mean something else. Kept in checkpoints.
    pub(crate) fn key_hash(&self) -> String {
        form::hash(&form::key(&self.graph))
    }

    /// Of each branch, what changes when it gives other rows. Kept in checkpoints.
    pub(crate) fn branch_hashes(&self) -> Vec<String> {
        self.graph.branches.iter().map(|branch| form::hash(&form::branch(branch))).collect()
    }

    /// Name of the sink's producer in the log.
    #[must_use]
    pub fn producer(&self) -> String {
        format!("job:{}", self.name)
    }

    /// Patterns of the topics that the job reads beside [`Self::source_topics`].
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.graph.branches.iter().filter_map(|branch| branch.source.pattern())
    }

    /// Whether it looks for topics by pattern.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        self.patterns().next().is_some()
    }

    /// Whether a topic is one that a pattern of the job finds.
    #[must_use]
    pub fn finds(&self, topic: &str) -> bool {
        let of_branch = |branch: &Branch| match &branch.source.kind {
            SourceKind::Topics(topics) => topics.topics.pattern.is_some() && topics.topics.has(topic),
            _ => false,
        };
        self.graph.branches.iter().any(of_branch)
    }

    /// Topics that the job reads and names: those of the streams, then those of the look-ups.
    #[must_use]
    pub fn source_topics(&self) -> Vec<&str> {
        let streams = self.graph.branches.iter().flat_map(|branch| branch.source.topics());
        let lookups = self.graph.lookups.iter().filter_map(|lookup| lookup.topic());
        streams.map(String::as_str).chain(lookups).collect()
    }

    /// The topic that the job writes, several with `;` between them, or their pattern; empty if it writes elsewhere.
    #[must_use]
    pub fn sink_topic(&self) -> String {
        self.graph.sink.topics().map_or_else(String::new, Topics::place)
    }

    /// Tables that the job looks up, each with the topic that feeds it; none where its database is asked.
    pub fn lookups(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.graph.lookups.iter().map(|lookup| (lookup.table.as_str(), lookup.topic()))
    }

    /// The plan for people.
    #[must_use]
    pub fn explain(&self) -> String {
        self.explained(false)
    }

    /// The plan for people; each node says which changes it gives.
    #[must_use]
    pub fn explain_changes(&self) -> String {
        self.explained(true)
    }

    fn explained(&self, changes: bool) -> String {
        let sink = &self.graph.sink;
        let mut out = String::new();
        let mode = match &sink.kind {
            _ if sink.key.is_empty() => "append",
            SinkKind::Topic(topic) if topic.upsert => "upsert",
            _ => "changelog",
        };
        let key: Vec<&str> = sink.key.iter().map(|index| sink.columns[*index].name.as_str()).collect();
        // Writing to a String never fails.
        let _ = writeln!(out, "Job {} ({})", self.name, self.id());
        let kind = match sink.topics().map(Topics::single) {
            Some(Some(_)) => "topic",
            Some(None) => "topics",
            None => "to",
        };
        let (table, place, key) = (&sink.table, sink.place(), key.join(", "));
        let line = format!("Sink(table=[{table}], {kind}=[{place}], mode=[{mode}], key=[{key}])");
        // As in Flink: nothing comes after a sink.
        let _ = writeln!(out, "{}", with_mode(&line, changes.then_some("NONE")));
        let mut indent = String::new();
        if self.graph.branches.len() > 1 {
            let line = format!("+- Union(all=[true], branches=[{}])", self.graph.branches.len());
            let _ = writeln!(out, "{}", with_mode(&line, changes.then(|| self.graph.changelog_mode())));
            indent.push_str("   ");
        }
        for branch in &self.graph.branches {
            self.explain_branch(&mut out, &indent, branch, changes.then(|| branch.changelog_mode()));
        }
        out.push_str(match &sink.kind {
            SinkKind::Topic(_) => "Delivery: exactly once, from log to log\n",
            _ => "Delivery: at least once: after a crash rows since the last checkpoint come again\n",
        });
        out
    }

    fn explain_branch(&self, out: &mut String, indent: &str, branch: &Branch, mode: Option<&str>) {
        let calc = format!("+- Calc(select=[{}])", names(&self.graph.sink.columns));
        let _ = writeln!(out, "{indent}{}", with_mode(&calc, mode));
        for step in branch.steps.iter().rev() {
            let line = match step {
                StepNode::Filter(_) => "Filter".to_owned(),
                StepNode::Unnest { outer, .. } => {
                    format!("Correlate(UNNEST, joinType=[{}])", if *outer { "LEFT" } else { "INNER" })
                }
                StepNode::Lookup(index) => {
                    let lookup = &self.graph.lookups[*index];
                    let kind = if lookup.outer { "LeftOuterJoin" } else { "InnerJoin" };
                    let feed = match &lookup.feed {
                        Feed::Topic { captured, topic, .. } => {
                            format!("fed by=[topic {topic} of {captured}], as of=[the row's own commit]")
                        }
                        Feed::Database { jdbc, hint, .. } => asks(jdbc, hint),
                    };
                    format!("LookupJoin(table=[{}], type=[{kind}], {feed})", lookup.table)
                }
            };
            let _ = writeln!(out, "{indent}   +- {}", with_mode(&line, mode));
        }
        let source = &branch.source;
        let detail = match &source.kind {
            SourceKind::Topics(topics) => format!(
                "topic=[{}], format=[{}], startup=[{:?}], bounded=[{:?}]",
                source.place(),
                topics.value.kind.as_str(),
                topics.startup,
                topics.stop
            ),
            _ => format!("from=[{}]", source.place()),
        };
        let line = format!("+- Source(table=[{}], {detail})", source.table);
        let _ = writeln!(out, "{indent}      {}", with_mode(&line, mode));
    }
}

/// A node's line with what it gives.
pub(super) fn with_mode(line: &str, mode: Option<&str>) -> String {
    match (mode, line.strip_suffix(')')) {
        (None, _) => line.to_owned(),
        (Some(mode), Some(open)) => format!("{open}, changelogMode=[{mode}])"),
        (Some(mode), None) => format!("{line}(changelogMode=[{mode}])"),
    }
}

/// What a look-up that asks the database does, for people.
fn asks(jdbc: &JdbcTable, hint: &LookupHint) -> String {
    let mut out = format!("asks=[{} at {}], as of=[the moment it is asked]", jdbc.relation, jdbc.address.shown());
    // Writing to a String never fails.
    let _ = match &jdbc.cache {
        None => write!(out, ", cache=[none]"),
        Some(Cache { max_rows, after_write, after_access, missing }) => write!(
            out,
            ", cache=[partial, max rows={max_rows:?}, after write={after_write:?}, after access={after_access:?}, missing keys={missing}]"
        ),
    };
    let _ = write!(out, ", async=[ordered], retries=[{}]", jdbc.max_retries);
    if let Some(retry) = &hint.retry {
        let _ = write!(out, ", retry=[lookup_miss, fixed_delay, {:?}, {}]", retry.delay, retry.attempts);
    }
    out
}

fn names(columns: &[PhysicalColumn]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}
