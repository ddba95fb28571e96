//! The operators of a job in a row, made from its plan.

use thm_api::{Error, ErrorKind, Result};

use super::decode::Chunk;
use crate::expr::EvalError;
use crate::operator::filter::Filter;
use crate::operator::lookup_join::{LookupJoin, STREAM, TABLE};
use crate::operator::unnest::Unnest;
use crate::operator::{Operator, Rows};
use crate::planner::{Feed, Graph, LookupNode, StepNode};

/// What rows pass between sources and sink.
pub(super) struct Pipeline {
    branches: Vec<Vec<Box<dyn Operator>>>,
    /// Which branch and step holds the n-th look-up.
    lookups: Vec<(usize, usize)>,
}

impl Pipeline {
    pub fn new(graph: &Graph) -> Result<Self> {
        let mut lookups = vec![(0, 0); graph.lookups.len()];
        let mut branches = Vec::with_capacity(graph.branches.len());
        for (number, branch) in graph.branches.iter().enumerate() {
            let mut steps: Vec<Box<dyn Operator>> = Vec::with_capacity(branch.steps.len());
            for (at, step) in branch.steps.iter().enumerate() {
                steps.push(match step {
                    StepNode::Filter(condition) => Box::new(Filter::new(condition.clone())),
                    StepNode::Unnest { collection, types, ordinality, outer } => {
                        let types = types.iter().map(|data_type| data_type.kind).collect();
                        Box::new(Unnest::new(collection.clone(), types, *ordinality, *outer))
                    }
                    StepNode::Lookup(index) => {
                        lookups[*index] = (number, at);
                        lookup(&graph.lookups[*index])?
                    }
                });
            }
            branches.push(steps);
        }
        Ok(Self { branches, lookups })
    }

    /// Rows of a branch's source → rows before the sink's values.
    pub fn process(&mut self, branch: usize, rows: Rows) -> Result<Vec<Rows>, EvalError> {
        let mut current = vec![rows];
        for step in &mut self.branches[branch] {
            let mut next = Vec::with_capacity(current.len());
            for rows in current {
                if !rows.is_empty() {
                    step.process(STREAM, rows, &mut next)?;
                }
            }
            current = next;
        }
        Ok(current)
    }

    /// Changes of the n-th look-up table, rows `from..to` of a chunk.
    pub fn change(&mut self, lookup: usize, chunk: &Chunk, from: usize, to: usize) -> Result<()> {
        let (branch, step) = self.lookups[lookup];
        let step = &mut self.branches[branch][step];
        step.keys(chunk.keys[from..to].to_vec());
        let mut nothing = Vec::new();
        let applied = step.process(TABLE, chunk.rows.slice(from, to - from), &mut nothing);
        applied
            .map_err(|error| Error::new(ErrorKind::Evaluation, "applying a change", "look-up table").with_source(error))
    }

    /// Look-up tables that changed since the last call.
    pub fn snapshot(&mut self) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut changed = Vec::new();
        for (index, (branch, step)) in self.lookups.iter().enumerate() {
            if let Some(rows) = self.branches[*branch][*step].snapshot()? {
                changed.push((index, rows));
            }
        }
        Ok(changed)
    }

    pub fn restore(&mut self, lookup: usize, rows: &[u8]) -> Result<()> {
        let (branch, step) = self.lookups[lookup];
        self.branches[branch][step].restore(rows)
    }

    pub fn take_overflows(&mut self) -> u64 {
        self.branches.iter_mut().flatten().map(|step| step.take_overflows()).sum()
    }
}

fn lookup(node: &LookupNode) -> Result<Box<dyn Operator>> {
    let types = node.fields.iter().map(|field| field.kind).collect();
    let keys = (node.keys.clone(), node.table_keys.clone());
    match &node.feed {
        Feed::Topic { .. } => Ok(Box::new(LookupJoin::new(types, keys, node.residual.clone(), node.outer))),
        Feed::Database(jdbc) => {
            let hint = format!("Let a source capture '{}': then its rows are at hand and never stale.", jdbc.relation);
            Err(Error::new(ErrorKind::InvalidSql, "starting a look-up that asks the database", node.table.clone())
                .with_source("only look-ups of captured tables are supported so far")
                .with_hint(hint))
        }
    }
}
