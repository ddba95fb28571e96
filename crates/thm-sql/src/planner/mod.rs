//! Scripts and typed relations → job plans.
//!
//! ```text
//!  text ─parser─▶ statements ─session: catalog, analyzer─▶ typed query ─flatten, insert─▶ JobPlan ─job─▶ running
//!                                                                └─ bounded ─▶ rows, for shells and tests
//! ```
//! Invariant: a plan holds every look-up and filter of its query; what the log cannot give is refused here, before
//! anything starts.

pub mod bounded;
mod execute;
mod flatten;
pub(crate) mod form;
mod graph;
mod insert;
mod plan;
mod restart;
mod session;
mod sink;

pub use crate::catalog::show::TableResult;
pub use execute::{Outcome, Selection, Session};
pub(crate) use graph::{
    Branch, Feed, Graph, LookupNode, SinkKind, SourceKind, SourceNode, StepNode, TopicSink, TopicSource,
};
pub use graph::{Collected, CollectedRows};
pub use plan::JobPlan;
pub use restart::Restart;
pub use session::DEFAULT_CHECKPOINT_INTERVAL;

use std::fmt;
use std::sync::Arc;

use crate::error::{SqlDiagnostic, SqlResult};

/// A table of the database whose changes are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedTable {
    /// Schema in the database.
    pub schema: String,
    /// Name in the database.
    pub table: String,
    /// Topic of its changes.
    pub topic: String,
}

/// Topic of a table (schema, name), if it has one.
pub type TopicOf = Arc<dyn Fn(&str, &str) -> Option<String> + Send + Sync>;

/// A source of changes that is known: which tables of which database it captures.
#[derive(Clone)]
pub struct Capture {
    /// The database.
    pub database: String,
    /// Topic of a table (schema, name), if the source captures it.
    pub topic: TopicOf,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("database", &self.database).finish_non_exhaustive()
    }
}

/// What a script is compiled against. With neither captured tables nor sources, topics are taken to be
/// `<prefix>.<schema>.<table>` with prefix and schema of the stream that looks a table up.
#[derive(Clone, Debug, Default)]
pub struct CompileContext {
    /// Captured tables.
    pub captured: Vec<CapturedTable>,
    /// Sources that run. A table that none of them captures is looked up in its database.
    pub sources: Vec<Capture>,
}

/// A compiled script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Jobs in the order of their INSERTs.
    pub jobs: Vec<JobPlan>,
    /// What was accepted without effect.
    pub notices: Vec<String>,
}

/// Compiles a script; nothing outside is touched. `source_name` is shown in errors.
pub fn compile(source_name: &str, text: &str, context: &CompileContext) -> SqlResult<Script> {
    let source = Arc::new(text.to_owned());
    script(source_name, &source, context).map_err(|error| error.in_text(source_name, &source))
}

fn script(source_name: &str, text: &Arc<String>, context: &CompileContext) -> SqlResult<Script> {
    let mut session = Session::new(context.clone());
    let mut out = Script::default();
    for parsed in crate::parser::parse_script(text)? {
        match session.execute(&parsed, Some((source_name, text)))? {
            Outcome::Done => {}
            Outcome::Table(_) => {
                out.notices.push(format!("'{}' shows nothing in a job's file", first_words(&parsed.text)))
            }
            Outcome::Jobs(jobs) => out.jobs.extend(jobs),
            Outcome::Select(_) => {
                return Err(SqlDiagnostic::new(parsed.span, "a SELECT in a job's file writes nowhere")
                    .with_hint("Write INSERT INTO a table before it, or run the file with `thm sql`."));
            }
        }
        out.notices.extend(session.take_notices());
    }
    session.check_unused()?;
    Ok(out)
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod bounded_tests;
#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
