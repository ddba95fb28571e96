//! How the tools print: tables for people, JSON for programs; the only place that writes to the terminal.
//!
//! Whoever does not read on (`thm topic consume T | head`) ends the command, quietly.

use std::io::{ErrorKind, Write};
use std::process;

use serde_json::{Map, Value};
use thm_api::ExitCode;

/// `--output`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document, or one a line.
    Json,
}

/// Says something on standard error, beside the result, if anybody listens.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line of the result. One that cannot be printed ends the process: there is no other result.
pub fn line(text: &str) {
    let Err(error) = writeln!(std::io::stdout(), "{text}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(ExitCode::Ok as i32);
    }
    note(&format!("error: standard output: {error}"));
    process::exit(ExitCode::Unreachable as i32);
}

/// Rows under named columns.
pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// An empty table.
    pub fn new(names: &[&'static str]) -> Self {
        Self { names: names.to_vec(), rows: Vec::new() }
    }

    /// Appends a row with one value a column.
    pub fn row(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it, aligned or as a JSON array of objects.
    pub fn print(&self, output: Output) {
        if output == Output::Json {
            let object = |row: &Vec<Value>| {
                let pairs = self.names.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
                Value::Object(pairs.collect::<Map<_, _>>())
            };
            return line(&Value::Array(self.rows.iter().map(object).collect()).to_string());
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.len()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(text(value).chars().count());
            }
        }
        let print = |cells: Vec<String>| {
            let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            line(padded.collect::<Vec<_>>().join("  ").trim_end());
        };
        print(self.names.iter().map(|name| name.to_uppercase()).collect());
        for row in &self.rows {
            print(row.iter().map(text).collect());
        }
    }
}
