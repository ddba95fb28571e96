//! The operators of a job in a row, made from its plan.

use thm_api::{Error, ErrorKind, Result};

use super::decode::Chunk;
use crate::expr::EvalError;
use crate::operator::filter::Filter;
use crate::operator::lookup_join::{LookupJoin, STREAM, TABLE};
use crate::operator::{Operator, Rows};
use crate::planner::{Graph, StepNode};

/// What rows pass between source and sink.
pub(super) struct Pipeline {
    steps: Vec<Box<dyn Operator>>,
    /// Which step holds the n-th look-up.
    lookups: Vec<usize>,
}

impl Pipeline {
    pub fn new(graph: &Graph) -> Self {
        let mut lookups = vec![0; graph.lookups.len()];
        let mut steps: Vec<Box<dyn Operator>> = Vec::with_capacity(graph.steps.len());
        for (at, step) in graph.steps.iter().enumerate() {
            steps.push(match step {
                StepNode::Filter(condition) => Box::new(Filter::new(condition.clone())),
                StepNode::Lookup(index) => {
                    lookups[*index] = at;
                    let node = &graph.lookups[*index];
                    let types = node.fields.iter().map(|field| field.kind).collect();
                    let keys = (node.keys.clone(), node.table_keys.clone());
                    Box::new(LookupJoin::new(types, keys, node.residual.clone(), node.outer))
                }
            });
        }
        Self { steps, lookups }
    }

    /// Rows of the stream → rows before the sink's values.
    pub fn process(&mut self, rows: Rows) -> Result<Vec<Rows>, EvalError> {
        let mut current = vec![rows];
        for step in &mut self.steps {
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
        let step = &mut self.steps[self.lookups[lookup]];
        step.keys(chunk.keys[from..to].to_vec());
        let mut nothing = Vec::new();
        let applied = step.process(TABLE, chunk.rows.slice(from, to - from), &mut nothing);
        applied
            .map_err(|error| Error::new(ErrorKind::Evaluation, "applying a change", "look-up table").with_source(error))
    }

    /// Look-up tables that changed since the last call.
    pub fn snapshot(&mut self) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut changed = Vec::new();
        for (index, step) in self.lookups.iter().enumerate() {
            if let Some(rows) = self.steps[*step].snapshot()? {
                changed.push((index, rows));
            }
        }
        Ok(changed)
    }

    pub fn restore(&mut self, lookup: usize, rows: &[u8]) -> Result<()> {
        self.steps[self.lookups[lookup]].restore(rows)
    }

    pub fn take_overflows(&mut self) -> u64 {
        self.steps.iter_mut().map(|step| step.take_overflows()).sum()
    }
}
