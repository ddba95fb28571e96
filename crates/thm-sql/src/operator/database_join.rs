//! A look-up join whose table is a database's: what has to be asked before rows can be joined, and what was answered.
//!
//! ```text
//!   rows ─▶ questions ─▶ (somebody asks) ─▶ answer ─▶ join ─▶ rows
//! ```
//! It does no I/O: the job asks between two calls, so that operators stay synchronous. `join` is right once every key of
//! [`DatabaseJoin::questions`] is answered.

use std::collections::HashSet;
use std::time::Instant;

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;

use super::answers::Answers;
use super::lookup_join::{LookupJoin, STREAM};
use super::{Operator, Rows};
use crate::expr::EvalError;

/// A key that the database is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As the table's index has it.
    pub key: Box<[u8]>,
    /// Text of each part.
    pub parts: Vec<String>,
}

/// A join with the rows that a database gave.
#[derive(Debug)]
pub struct DatabaseJoin {
    join: LookupJoin,
    answers: Answers,
    /// Numbers the rows that came, to tell them apart.
    next_row: u64,
}

impl DatabaseJoin {
    /// Nothing is answered yet.
    #[must_use]
    pub const fn new(join: LookupJoin, answers: Answers) -> Self {
        Self { join, answers, next_row: 0 }
    }

    /// The keys of these rows that have no answer, each once, in the order of the rows.
    pub fn questions(&mut self, rows: &Rows, now: Instant) -> Result<Vec<Question>, EvalError> {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for question in self.join.keys_of(rows)?.into_iter().flatten() {
            if !seen.contains(&question.key) {
                seen.insert(question.key.clone());
                if !self.answers.has(&question.key, now) {
                    self.join.table().forget_key(&question.key);
                    out.push(question);
                }
            }
        }
        Ok(out)
    }

    /// Takes all rows that the database has for these keys: the table's columns.
    pub fn answer(&mut self, asked: &[Question], columns: Vec<ArrayRef>, now: Instant) -> Result<(), EvalError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let bytes: usize = columns.iter().map(|column| column.get_array_memory_size()).sum();
        let row_bytes = bytes / rows.max(1);
        let records =
            (self.next_row..).take(rows).map(|number| Bytes::copy_from_slice(&number.to_be_bytes())).collect();
        self.next_row += rows as u64;
        self.join.table().apply(columns, records, &vec![false; rows])?;
        for question in asked {
            let found = self.join.table().find(&question.key).count();
            self.answers.put(question.key.clone(), found * row_bytes, found == 0, now);
        }
        Ok(())
    }

    /// Those of some keys for which there is no row.
    pub fn missing(&mut self, asked: Vec<Question>) -> Vec<Question> {
        asked.into_iter().filter(|question| self.join.table().find(&question.key).next().is_none()).collect()
    }

    /// Joins rows whose keys are answered, and forgets what is not to be kept.
    pub fn join(&mut self, rows: Rows, out: &mut Vec<Rows>, now: Instant) -> Result<(), EvalError> {
        self.join.process(STREAM, rows, out)?;
        for key in self.answers.settle(now) {
            self.join.table().forget_key(&key);
        }
        self.join.table().shrink()
    }
}
