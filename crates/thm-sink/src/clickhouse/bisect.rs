//! Finds the records that the server refuses, when it refuses a whole insert for one of them.
//!
//! ```text
//!  insert refused ─▶ dry run of all rows ─┬─ refused ─▶ halves, until single rows ─▶ RecordRejected, those alone
//!                                         └─ taken ───▶ not the data: SinkMismatch
//! ```
//! A dry run inserts into the table function `null`, which reads and converts the rows and keeps none, so nothing is
//! written in pieces. A row that breaks a constraint of the table is named by the server itself.

use arrow::array::RecordBatch;
use thm_api::{Error, ErrorKind, RejectedRecord, Result, SinkPartition};

use super::client::{Client, Request};
use super::encode::insert_body;
use super::fault::{Fault, ServerText};
use super::fold::Prepared;
use super::statement;
use super::table::Table;

/// Most dry runs for one batch: enough for some twenty bad rows among a hundred thousand. What is found by then is
/// refused, and the rest shows when the range comes again.
const MAX_DRY_RUNS: usize = 400;

/// Who refused what.
pub struct Bisect<'a> {
    /// Connection.
    pub client: &'a Client,
    /// Target.
    pub table: &'a Table,
    /// The range's partition.
    pub partition: &'a SinkPartition,
    /// What was refused.
    pub prepared: &'a Prepared,
}

impl Bisect<'_> {
    /// The error to give up the batch with: the rows to blame, or the server's word on all of them.
    pub async fn blame(&self, refused: ServerText) -> Error {
        if let Some(row) = constraint_row(&refused.0, self.prepared.rows.num_rows()) {
            return self.rejected(vec![(row, refused)]);
        }
        match self.search().await {
            Ok(found) if found.is_empty() => self.mismatch(refused),
            // A lone row may be at fault; many that all are is the table's fault.
            Ok(found) if found.len() == self.prepared.rows.num_rows() && found.len() > 1 => self.mismatch(refused),
            Ok(found) => self.rejected(found),
            Err(error) => error,
        }
    }

    async fn search(&self) -> Result<Vec<(usize, ServerText)>> {
        let mut found = Vec::new();
        let mut ranges = vec![(0, self.prepared.rows.num_rows())];
        let mut runs = 0;
        while let Some((start, end)) = ranges.pop() {
            runs += 1;
            if runs > MAX_DRY_RUNS {
                break;
            }
            let Some(text) = self.dry_run(&self.prepared.rows.slice(start, end - start)).await? else { continue };
            if end - start == 1 {
                found.push((start, text));
                continue;
            }
            let middle = start + (end - start) / 2;
            // The stack gives the first half first.
            ranges.extend([(middle, end), (start, middle)]);
        }
        Ok(found)
    }

    /// What the server says against these rows, if anything.
    async fn dry_run(&self, rows: &RecordBatch) -> Result<Option<ServerText>> {
        let body = insert_body(&statement::dry_run(self.table, &self.prepared.columns), rows)?;
        let label = self.table.label();
        let request = Request {
            doing: "looking for the record that ClickHouse refuses",
            object: &label,
            query_id: None,
            body,
            settings: &[],
            insert: true,
        };
        match self.client.send(request).await {
            Ok(_) => Ok(None),
            Err(Fault::Data(text)) => Ok(Some(text)),
            Err(fault) => Err(fault.into()),
        }
    }

    fn rejected(&self, found: Vec<(usize, ServerText)>) -> Error {
        let rejected = found.into_iter().filter_map(|(row, text)| {
            let offset = *self.prepared.offsets.get(row)?;
            let partition = self.partition.partition.clone();
            Some(RejectedRecord { partition, offset, reason: format!("ClickHouse refuses the row: {text}") })
        });
        Error::new(ErrorKind::RecordRejected, "writing to ClickHouse", self.table.label())
            .with_rejected(rejected.collect())
    }

    fn mismatch(&self, refused: ServerText) -> Error {
        Error::new(ErrorKind::SinkMismatch, "writing to ClickHouse", self.table.label()).with_source(refused).with_hint(
            "The server refuses the rows as a whole: compare the table's types and constraints with the topic.",
        )
    }
}

/// `… is violated at row 3. …`, counted from 1.
fn constraint_row(text: &str, rows: usize) -> Option<usize> {
    let (_, rest) = text.split_once(" is violated at row ")?;
    let row: usize = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    row.checked_sub(1).filter(|row| *row < rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_names_its_row() {
        let text =
            "Code: 469. DB::Exception: Constraint `positive` for table thm.t is violated at row 3. Expression: (a > 0)";
        assert_eq!(constraint_row(text, 5), Some(2));
        assert_eq!(constraint_row(text, 2), None);
        assert_eq!(constraint_row("Code: 41.", 2), None);
    }
}
