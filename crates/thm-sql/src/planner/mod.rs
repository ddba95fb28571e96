//! Scripts and typed relations → job plans.
//!
//! ```text
//!  text ─parser─▶ statements ─catalog, analyzer─▶ typed query ─planner─▶ JobPlan ─job─▶ running
//! ```
//! Invariant: a plan holds every look-up and filter of its query; what the log cannot give is refused here, before
//! anything starts.

pub mod bounded;
mod insert;
mod plan;
mod session;

pub use plan::JobPlan;
pub(crate) use plan::{Graph, LookupNode, SinkNode, SourceNode, StepNode};
pub use session::DEFAULT_CHECKPOINT_INTERVAL;

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{Insert, Statement};
use session::Session;

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

/// What a script is compiled against.
#[derive(Clone, Debug, Default)]
pub struct CompileContext {
    /// Captured tables. If none is given, topics are taken to be `<prefix>.<schema>.<table>` with prefix and schema
    /// of the stream that looks the table up.
    pub captured: Vec<CapturedTable>,
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
    script(text, context).map_err(|error| error.in_text(source_name, &source))
}

fn script(text: &str, context: &CompileContext) -> SqlResult<Script> {
    let mut catalog = Catalog::default();
    let mut session = Session::default();
    let mut out = Script::default();
    for statement in crate::parser::parse_script(text)? {
        match statement {
            Statement::Set { key, value } => out.notices.extend(session.set(&key, &value)?),
            Statement::Reset(key) => session.reset(key.as_ref().map(|key| key.value.as_str())),
            Statement::AddJar(path) => {
                out.notices.push(format!("ADD JAR '{}' is not needed: connectors and formats are built in", path.value))
            }
            Statement::DropTable { name, if_exists } => catalog.drop_table(&name, if_exists)?,
            Statement::CreateTable(table) => out.notices.extend(catalog.create_table(&table)?),
            Statement::Insert(insert) => add_job(&catalog, &session, &insert, context, &mut out)?,
            Statement::StatementSet(inserts) => {
                for insert in &inserts {
                    add_job(&catalog, &session, insert, context, &mut out)?;
                }
                if inserts.len() > 1 {
                    out.notices.push(format!("the statement set runs as {} jobs, one per INSERT", inserts.len()));
                }
            }
        }
    }
    Ok(out)
}

fn add_job(
    catalog: &Catalog,
    session: &Session,
    insert: &Insert,
    context: &CompileContext,
    out: &mut Script,
) -> SqlResult<()> {
    let graph = insert::graph(catalog, insert, context)?;
    let name = session.job_name.clone().unwrap_or_else(|| format!("{}{}", plan::NAME_PREFIX, insert.table.value));
    if out.jobs.iter().any(|job| job.name == name) {
        return Err(SqlDiagnostic::new(insert.span, format!("there is already a job named '{name}'")).with_hint(
            "Write SET 'pipeline.name' = '…' with another name before this INSERT: a job is known by its name.",
        ));
    }
    out.jobs.push(JobPlan { name, checkpoint_interval: session.checkpoint_interval, graph: Arc::new(graph) });
    Ok(())
}

#[cfg(test)]
mod tests;
