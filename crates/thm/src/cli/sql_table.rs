//! Rows as a table, as Flink's SQL client draws it.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use serde_json::Value;
use thm_api::RowKind;
use thm_sql::expr::text;
use thm_sql::planner::TableResult;
use thm_sql::types::{DataType, LogicalType};

/// Widest cell before it is cut.
const DEFAULT_WIDTH: usize = 30;

/// Rows to be shown.
pub struct Shown {
    columns: Vec<(String, DataType)>,
    rows: Vec<(RowKind, Vec<String>)>,
    changelog: bool,
    cut: bool,
    /// Columns as wide as their types may need, for rows come when they come.
    stream: bool,
    /// Each row as a JSON object.
    json: bool,
}

impl Shown {
    /// Without rows; a changelog says what each row means.
    pub fn new(columns: Vec<(String, DataType)>, changelog: bool) -> Self {
        Self { columns, rows: Vec::new(), changelog, cut: true, stream: false, json: false }
    }

    /// As Flink's client shows a stream in its mode `tableau`.
    pub fn of_a_stream(self) -> Self {
        Self { stream: true, ..self }
    }

    /// As one JSON object a row, if that is wanted.
    pub fn in_json(self, json: bool) -> Self {
        Self { json, ..self }
    }

    /// What a statement shows.
    pub fn of_table(table: &TableResult, json: bool) -> Self {
        let cell = |value: &Value| if json { value.to_string() } else { Self::shown_value(value) };
        let rows = table.rows.iter().map(|row| (RowKind::Insert, row.iter().map(cell).collect())).collect();
        Self { columns: table.columns.clone(), rows, changelog: false, cut: false, stream: false, json }
    }

    fn shown_value(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Bool(yes) => yes.to_string().to_uppercase(),
            other => other.to_string(),
        }
    }

    /// Adds rows.
    pub fn add(&mut self, kinds: &[RowKind], columns: &[ArrayRef]) {
        for (row, kind) in kinds.iter().enumerate() {
            let of = if self.json { json_cell } else { cell };
            let cell = |((_, data_type), array): (&(String, DataType), &ArrayRef)| of(array, row, data_type.kind);
            let cells: Vec<String> = self.columns.iter().zip(columns).map(cell).collect();
            match kind {
                _ if self.changelog => self.rows.push((*kind, cells)),
                RowKind::Insert | RowKind::UpdateAfter => self.rows.push((RowKind::Insert, cells)),
                RowKind::UpdateBefore | RowKind::Delete => {
                    if let Some(at) = self.rows.iter().position(|(_, known)| *known == cells) {
                        self.rows.remove(at);
                    }
                }
            }
        }
    }

    /// Keeps the first rows only.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// One line a row; of a changelog with what it means under `op`.
    fn json_lines(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let of_row = |(kind, cells): &(RowKind, Vec<String>)| {
            let op = self.changelog.then(|| format!("\"op\":{}", quoted(kind.as_str())));
            let cells = self.columns.iter().zip(cells).map(|((name, _), cell)| format!("{}:{cell}", quoted(name)));
            format!("{{{}}}", op.into_iter().chain(cells).collect::<Vec<_>>().join(","))
        };
        self.rows.iter().map(of_row).collect::<Vec<_>>().join("\n")
    }

    /// The table, or JSON.
    pub fn text(&self) -> String {
        if self.json {
            return self.json_lines();
        }
        if self.rows.is_empty() {
            return "Empty set".to_owned();
        }
        let mut lines: Vec<Vec<String>> = vec![self.columns.iter().map(|(name, _)| name.clone()).collect()];
        lines.extend(self.rows.iter().map(|(_, cells)| cells.iter().map(|cell| self.fitted(cell)).collect()));
        if self.changelog {
            lines[0].insert(0, "op".to_owned());
            lines[1..]
                .iter_mut()
                .zip(&self.rows)
                .for_each(|(line, (kind, _))| line.insert(0, kind.as_str().to_owned()));
        }
        let mut widths: Vec<usize> = (0..lines[0].len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        if self.stream {
            let of_type = |(name, data_type): &(String, DataType)| width(data_type.kind).max(name.chars().count());
            widths
                .iter_mut()
                .skip(1)
                .zip(&self.columns)
                .for_each(|(width, column)| *width = of_type(column).max(*width));
        }
        let rule: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+";
        let mut out = format!("{rule}\n");
        for (number, line) in lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(&widths) {
                // Writing to a String never fails.
                let _ = write!(out, "| {}{cell} ", " ".repeat(width - cell.chars().count()));
            }
            out.push_str("|\n");
            if number == 0 {
                out.push_str(&rule);
                out.push('\n');
            }
        }
        let count = self.rows.len();
        let rows = if count == 1 { "row" } else { "rows" };
        let _ = match self.stream {
            true => write!(out, "{rule}\nReceived a total of {count} {rows}"),
            false => write!(out, "{rule}\n{count} {rows} in set"),
        };
        out
    }

    fn fitted(&self, cell: &str) -> String {
        if !self.cut || cell.chars().count() <= DEFAULT_WIDTH {
            return cell.to_owned();
        }
        let mut short: String = cell.chars().take(DEFAULT_WIDTH - 3).collect();
        short.push_str("...");
        short
    }
}

/// What a column of a type may need: Flink's client's widths.
fn width(kind: LogicalType) -> usize {
    match kind {
        LogicalType::Boolean => 7,
        LogicalType::TinyInt => 4,
        LogicalType::SmallInt => 6,
        LogicalType::Int => 11,
        LogicalType::BigInt => 20,
        LogicalType::Decimal { precision, .. } => usize::from(precision) + 2,
        LogicalType::Date => 10,
        LogicalType::Time(0) => 8,
        LogicalType::Time(p) => 9 + usize::from(p),
        LogicalType::Timestamp(0) | LogicalType::TimestampLtz(0) => 19,
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => 20 + usize::from(p),
        _ => DEFAULT_WIDTH,
    }
}

fn cell(array: &ArrayRef, row: usize, kind: LogicalType) -> String {
    if text::is_null(array, row, kind) || array.is_null(row) {
        return "<NULL>".to_owned();
    }
    match kind {
        LogicalType::Boolean => array.as_boolean().value(row).to_string().to_uppercase(),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            let hex: String = array.as_binary::<i32>().value(row).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'")
        }
        _ => {
            let mut out = String::new();
            text::write(&mut out, array, row, kind);
            out
        }
    }
}

/// A value as JSON: numbers and booleans as they are, anything else as the text of a cast.
fn json_cell(array: &ArrayRef, row: usize, kind: LogicalType) -> String {
    if text::is_null(array, row, kind) || array.is_null(row) {
        return "null".to_owned();
    }
    let shown = cell(array, row, kind);
    let is_number = kind.is_numeric() && shown.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match kind {
        LogicalType::Boolean => shown.to_lowercase(),
        _ if is_number && !shown.ends_with('y') => shown,
        _ => Value::from(shown).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    /// As `flink-sql-client/tableau.out` of the recorded sessions has it.
    #[test]
    fn a_stream_is_shown_as_flinks_client_shows_it() {
        let columns = vec![
            ("a".to_owned(), LogicalType::STRING.nullable(true)),
            ("c".to_owned(), LogicalType::BigInt.nullable(false)),
        ];
        let mut shown = Shown::new(columns, true).of_a_stream();
        let values: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["x", "x", "x"])), Arc::new(Int64Array::from(vec![1, 1, 2]))];
        shown.add(&[RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter], &values);
        let wanted = "\
+----+--------------------------------+----------------------+
| op |                              a |                    c |
+----+--------------------------------+----------------------+
| +I |                              x |                    1 |
| -U |                              x |                    1 |
| +U |                              x |                    2 |
+----+--------------------------------+----------------------+
Received a total of 3 rows";
        assert_eq!(shown.text(), wanted);
    }

    #[test]
    fn a_program_gets_numbers_as_numbers_and_nulls_as_nulls() {
        let column = |name: &str, kind: LogicalType| (name.to_owned(), kind.nullable(true));
        let columns = vec![column("a \"b\"", LogicalType::STRING), column("n", LogicalType::Double)];
        let mut shown = Shown::new(columns, true).in_json(true);
        let values: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("x\"\n"), None, Some("")])),
            Arc::new(arrow::array::Float64Array::from(vec![Some(1.5), Some(f64::NEG_INFINITY), None])),
        ];
        shown.add(&[RowKind::Insert, RowKind::UpdateAfter, RowKind::Delete], &values);
        let wanted = [
            r#"{"op":"+I","a \"b\"":"x\"\n","n":1.5}"#,
            r#"{"op":"+U","a \"b\"":null,"n":"-Infinity"}"#,
            r#"{"op":"-D","a \"b\"":"","n":null}"#,
        ];
        assert_eq!(shown.text().lines().collect::<Vec<_>>(), wanted);
        shown.text().lines().for_each(|line| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}"));
    }
}
