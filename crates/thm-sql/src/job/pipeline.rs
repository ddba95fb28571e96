//! The operators of a job in a row, made from its plan. Operators compute; a look-up that asks a database waits between
//! them.

use thm_api::{Error, ErrorKind, Hosts, Result};

use super::ask::Ask;
use super::chunk::Chunk;
use crate::expr::EvalError;
use crate::operator::answers::Answers;
use crate::operator::database_join::DatabaseJoin;
use crate::operator::filter::Filter;
use crate::operator::lookup_join::{LookupJoin, STREAM, TABLE};
use crate::operator::unnest::Unnest;
use crate::operator::{Operator, Rows};
use crate::planner::{Feed, Graph, LookupNode, StepNode};

/// Why rows cannot pass.
#[derive(Debug)]
pub(super) enum Failure {
    /// A row cannot be evaluated, by the n-th step.
    Row(EvalError, usize),
    /// Something outside failed.
    Outside(Error),
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        Self::Row(error, 0)
    }
}

impl Failure {
    /// Of the n-th step.
    fn of_step(self, step: usize) -> Self {
        match self {
            Self::Row(error, _) => Self::Row(error, step),
            outside @ Self::Outside(_) => outside,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Outside(error)
    }
}

enum Step {
    Compute(Box<dyn Operator>),
    Ask(Box<Ask>),
}

/// What rows pass between sources and sink.
pub(super) struct Pipeline {
    branches: Vec<Vec<Step>>,
    /// Which branch and step holds the n-th look-up.
    lookups: Vec<(usize, usize)>,
}

impl Pipeline {
    /// `cache_bytes` bounds the cache of each look-up that asks a database.
    pub fn new(graph: &Graph, hosts: &Hosts, cache_bytes: usize) -> Self {
        let mut lookups = vec![(0, 0); graph.lookups.len()];
        let mut branches = Vec::with_capacity(graph.branches.len());
        for (number, branch) in graph.branches.iter().enumerate() {
            let mut steps: Vec<Step> = Vec::with_capacity(branch.steps.len());
            for (at, step) in branch.steps.iter().enumerate() {
                steps.push(match step {
                    StepNode::Filter(condition) => Step::Compute(Box::new(Filter::new(condition.clone()))),
                    StepNode::Unnest { collection, types, ordinality, outer } => {
                        let types = types.iter().map(|data_type| data_type.kind).collect();
                        Step::Compute(Box::new(Unnest::new(collection.clone(), types, *ordinality, *outer)))
                    }
                    StepNode::Lookup(index) => {
                        lookups[*index] = (number, at);
                        lookup(&graph.lookups[*index], hosts, cache_bytes)
                    }
                });
            }
            branches.push(steps);
        }
        Self { branches, lookups }
    }

    /// Whether rows of a branch may have to wait for a database.
    pub fn asks(&self, branch: usize) -> bool {
        self.branches[branch].iter().any(|step| matches!(step, Step::Ask(_)))
    }

    /// Rows of a branch's source → rows before the sink's values. Dropping the future gives the rows up, and nothing else.
    pub async fn process(&mut self, branch: usize, rows: Rows) -> Result<Vec<Rows>, Failure> {
        let mut current = vec![rows];
        for (at, step) in self.branches[branch].iter_mut().enumerate() {
            let mut next = Vec::with_capacity(current.len());
            for rows in current {
                let done = match step {
                    _ if rows.is_empty() => Ok(()),
                    Step::Compute(operator) => operator.process(STREAM, rows, &mut next).map_err(Failure::from),
                    Step::Ask(ask) => ask.process(rows, &mut next).await,
                };
                done.map_err(|failure| failure.of_step(at))?;
            }
            current = next;
        }
        Ok(current)
    }

    /// The n-th look-up, if a topic feeds it.
    fn fed(&mut self, lookup: usize) -> Option<&mut Box<dyn Operator>> {
        let (branch, step) = self.lookups[lookup];
        match &mut self.branches[branch][step] {
            Step::Compute(operator) => Some(operator),
            Step::Ask(_) => None,
        }
    }

    /// Changes of the n-th look-up table, rows `from..to` of a chunk.
    pub fn change(&mut self, lookup: usize, chunk: &Chunk, from: usize, to: usize) -> Result<()> {
        let Some(step) = self.fed(lookup) else { return Ok(()) };
        step.keys(chunk.keys[from..to].to_vec());
        let mut nothing = Vec::new();
        let applied = step.process(TABLE, chunk.rows.slice(from, to - from), &mut nothing);
        applied
            .map_err(|error| Error::new(ErrorKind::Evaluation, "applying a change", "look-up table").with_source(error))
    }

    /// Look-up tables that changed since the last call.
    pub fn snapshot(&mut self) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut changed = Vec::new();
        for index in 0..self.lookups.len() {
            let rows = self.fed(index).map_or(Ok(None), |operator| operator.snapshot())?;
            changed.extend(rows.map(|rows| (index, rows)));
        }
        Ok(changed)
    }

    pub fn restore(&mut self, lookup: usize, rows: &[u8]) -> Result<()> {
        self.fed(lookup).map_or(Ok(()), |operator| operator.restore(rows))
    }

    pub fn take_overflows(&mut self) -> u64 {
        let of_step = |step: &mut Step| match step {
            Step::Compute(operator) => operator.take_overflows(),
            Step::Ask(_) => 0,
        };
        self.branches.iter_mut().flatten().map(of_step).sum()
    }
}

fn lookup(node: &LookupNode, hosts: &Hosts, cache_bytes: usize) -> Step {
    let types = node.fields.iter().map(|field| field.kind).collect();
    let keys = (node.keys.clone(), node.table_keys.clone());
    let join = LookupJoin::new(types, keys, node.residual.clone(), node.outer);
    match &node.feed {
        Feed::Topic { .. } => Step::Compute(Box::new(join)),
        Feed::Database { jdbc, hint, keys } => {
            let join = DatabaseJoin::new(join, Answers::new(jdbc.cache, cache_bytes));
            let table = (node.table.clone(), node.fields.clone());
            Step::Ask(Box::new(Ask::new(table, ((**jdbc).clone(), hint.clone()), keys.clone(), join, hosts.clone())))
        }
    }
}
