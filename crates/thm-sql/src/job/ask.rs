//! A look-up that asks its database, between operators: this is where a job waits for one.
//!
//! ```text
//!   rows ─▶ DatabaseJoin: questions ─▶ Database: ask ─┬─ failed ─▶ pause, again; after lookup.max-retries the job fails
//!                                                     ├─ too large ─▶ half of the rows first
//!                                                     └─ answer ─▶ columns ─▶ DatabaseJoin: join ─▶ rows
//! ```
//! Rows leave in the order in which they came. What is held is bounded: the rows of one step, their answer, the cache.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, ArrayRef, BinaryArray, ListArray, StringArray, StringBuilder, new_null_array};
use arrow::buffer::OffsetBuffer;
use thm_api::{Error, ErrorKind, Hosts, Policy, Result};

use super::pipeline::Failure;
use crate::analyzer::LookupHint;
use crate::connector::jdbc::{self, Answer, Asked, Database, JdbcTable};
use crate::expr::{EvalError, Expr, Input};
use crate::format::Field;
use crate::operator::Rows;
use crate::operator::database_join::{DatabaseJoin, Question};
use crate::types::LogicalType;
use crate::types::nested::item_field;

/// Most bytes of one answer, as the database sends it: rows are held once more as columns, and once joined.
const DEFAULT_ANSWER_BYTES: usize = 4 << 20;
/// Longest wait for an answer: Flink's default of asynchronous look-ups, after which a database counts as away.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(180);

/// One such look-up of a job.
pub(super) struct Ask {
    table: String,
    join: DatabaseJoin,
    database: Database,
    fields: Vec<Field>,
    /// Indexes of the fields that are asked for.
    needed: Vec<usize>,
    max_retries: u32,
    hint: LookupHint,
}

impl Ask {
    /// `keys`: the table's columns that are compared, and in which types.
    pub fn new(
        (table, fields): (String, Vec<Field>),
        (jdbc, hint): (JdbcTable, LookupHint),
        keys: Vec<(usize, LogicalType)>,
        join: DatabaseJoin,
        hosts: Hosts,
    ) -> Self {
        let needed: Vec<usize> = (0..fields.len()).filter(|index| fields[*index].needed).collect();
        let max_retries = jdbc.max_retries;
        let database = Database::new(jdbc, Asked { columns: needed.clone(), keys }, hosts);
        Self { table, join, database, fields, needed, max_retries, hint }
    }

    /// Rows of the stream → rows with the table's columns.
    pub async fn process(&mut self, rows: Rows, out: &mut Vec<Rows>) -> Result<(), Failure> {
        let mut left = VecDeque::from([rows]);
        while let Some(rows) = left.pop_front() {
            let asked = self.join.questions(&rows, Instant::now())?;
            // One row alone is answered whatever the size of its answer.
            let max_bytes = if rows.len() > 1 { DEFAULT_ANSWER_BYTES } else { usize::MAX };
            if asked.is_empty() || self.answered(asked, max_bytes).await? {
                self.join.join(rows, out, Instant::now())?;
            } else {
                let half = rows.len() / 2;
                left.push_front(rows.slice(half, rows.len() - half));
                left.push_front(rows.slice(0, half));
            }
        }
        Ok(())
    }

    /// Asks until every question is answered; false if the answer is too large.
    async fn answered(&mut self, mut asked: Vec<Question>, max_bytes: usize) -> Result<bool, Failure> {
        let until = Instant::now() + self.hint.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let mut again = 0;
        loop {
            let Some(columns) = self.patiently(&asked, max_bytes, until).await? else { return Ok(false) };
            self.join.answer(&asked, columns, Instant::now())?;
            let Some(retry) = self.hint.retry.filter(|retry| again < retry.attempts) else { return Ok(true) };
            asked = self.join.missing(asked);
            if asked.is_empty() {
                return Ok(true);
            }
            again += 1;
            tokio::time::sleep(retry.delay).await;
        }
    }

    /// One answer; what may pass is tried again after 0, 1, 2, … seconds, as in Flink.
    async fn patiently(
        &mut self,
        asked: &[Question],
        max_bytes: usize,
        until: Instant,
    ) -> Result<Option<Vec<ArrayRef>>, Failure> {
        let keys: Vec<&[String]> = asked.iter().map(|question| question.parts.as_slice()).collect();
        for attempt in 0.. {
            let begun = Instant::now();
            let left = until.saturating_duration_since(begun).max(Duration::from_millis(1));
            let answer = tokio::time::timeout(left, self.database.ask(&keys, max_bytes)).await;
            let answer = answer.unwrap_or_else(|late| {
                let at = self.database.shown();
                Err(Error::new(ErrorKind::LookupUnreachable, "asking a look-up table", at).with_source(late))
            });
            let error = match answer {
                Ok(Answer::TooLarge) => return Ok(None),
                Ok(Answer::Rows(columns)) => {
                    metrics::histogram!("thm_sql_lookup_duration_seconds", "table" => self.table.clone())
                        .record(begun.elapsed().as_secs_f64());
                    metrics::counter!("thm_sql_lookup_keys_total", "table" => self.table.clone())
                        .increment(keys.len() as u64);
                    return self.typed(columns).map(Some).map_err(Failure::from);
                }
                Err(error) => error,
            };
            if error.kind().policy() != Policy::Retry || attempt >= self.max_retries {
                return Err(error.into());
            }
            tracing::warn!(table = %self.table, attempt, %error, "a look-up failed, trying again");
            tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
        }
        Ok(None)
    }

    /// Texts in the declared types; columns that nothing needs are NULL.
    fn typed(&self, answered: Vec<(StringArray, bool)>) -> Result<Vec<ArrayRef>, EvalError> {
        let rows = answered.first().map_or(0, |(column, _)| column.len());
        let null = |field: &Field| new_null_array(&field.kind.to_arrow(), rows);
        let mut columns: Vec<ArrayRef> = self.fields.iter().map(null).collect();
        for (index, (texts, hexadecimal)) in self.needed.iter().zip(answered) {
            let Field { name, kind, .. } = &self.fields[*index];
            columns[*index] = typed(texts, hexadecimal, *kind).map_err(|error| EvalError {
                message: format!("column '{name}' of {}: {}", self.table, error.message),
                ..error
            })?;
        }
        Ok(columns)
    }
}

fn typed(texts: StringArray, hexadecimal: bool, kind: LogicalType) -> Result<ArrayRef, EvalError> {
    if hexadecimal && kind.is_binary() {
        let decoded: Vec<Option<Vec<u8>>> = texts.iter().map(|text| hex::decode(text?).ok()).collect();
        return Ok(std::sync::Arc::new(BinaryArray::from_iter(decoded)));
    }
    if let LogicalType::Array(element) = kind {
        return arrays(&texts, element.kind);
    }
    let rows = texts.len();
    let columns: [ArrayRef; 1] = [std::sync::Arc::new(texts)];
    Expr::column(0, LogicalType::STRING.nullable(true)).cast(kind).evaluate(&Input::new(&columns, rows))
}

/// Texts of arrays of one dimension.
fn arrays(texts: &StringArray, element: LogicalType) -> Result<ArrayRef, EvalError> {
    let (mut all, mut lengths) = (StringBuilder::new(), Vec::with_capacity(texts.len()));
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else {
            lengths.push(0);
            continue;
        };
        let elements = jdbc::elements(text)
            .ok_or_else(|| EvalError { message: format!("'{text}' is no array of one dimension"), row })?;
        lengths.push(elements.len());
        // In an array bytes stand as `\x` and their digits.
        let shown = |text: String| match text.strip_prefix("\\x") {
            Some(digits) if element.is_binary() => digits.to_owned(),
            _ => text,
        };
        elements.into_iter().for_each(|text| all.append_option(text.map(shown)));
    }
    let items = typed(all.finish(), element.is_binary(), element)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let array = ListArray::try_new(item_field(element), offsets, items, texts.nulls().cloned());
    let array = array.map_err(|error| EvalError { message: error.to_string(), row: 0 })?;
    Ok(std::sync::Arc::new(array))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Decimal128Type, Int32Type, TimestampMillisecondType};

    use super::*;

    fn of(text: &str, kind: LogicalType) -> ArrayRef {
        typed(StringArray::from(vec![Some(text), None]), false, kind).unwrap()
    }

    #[test]
    fn what_the_database_prints_is_read_in_the_declared_type() {
        assert!(of("true", LogicalType::Boolean).as_boolean().value(0));
        let decimal = of("12.345", LogicalType::Decimal { precision: 6, scale: 2 });
        assert_eq!(decimal.as_primitive::<Decimal128Type>().value(0), 1_235);
        for kind in [LogicalType::Timestamp(3), LogicalType::TimestampLtz(3)] {
            let moment = of("2024-01-02 03:04:05.678901", kind);
            assert_eq!(moment.as_primitive::<TimestampMillisecondType>().value(0), 1_704_164_645_678);
        }
        let bytes = typed(StringArray::from(vec!["00ff"]), true, LogicalType::BYTES).unwrap();
        assert_eq!(bytes.as_binary::<i32>().value(0), [0, 255]);
        assert!(of("true", LogicalType::Boolean).is_null(1));
        let numbers = of("{1,NULL,3}", LogicalType::array(LogicalType::Int.nullable(true)));
        let numbers = numbers.as_list::<i32>().value(0);
        assert_eq!(numbers.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
        let bytes = of(r#"{"\\x00ff"}"#, LogicalType::array(LogicalType::BYTES.nullable(true)));
        assert_eq!(bytes.as_list::<i32>().value(0).as_binary::<i32>().value(0), [0, 255]);
        let nested = StringArray::from(vec!["{{1},{2}}"]);
        assert!(typed(nested, false, LogicalType::array(LogicalType::Int.nullable(true))).is_err());
    }
}
