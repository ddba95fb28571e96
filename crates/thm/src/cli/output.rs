//! How the tools print: tables for people, JSON for programs; the only place that writes to the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where commands talk to people")]

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value};

/// `--output`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document, or one a line.
    Json,
}

/// Says something on standard error, beside the result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a line of the result.
pub fn line(text: &str) {
    println!("{text}");
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
    pub fn print(&self, output: Output) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if output == Output::Json {
            let object = |row: &Vec<Value>| {
                let pairs = self.names.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
                Value::Object(pairs.collect::<Map<_, _>>())
            };
            writeln!(out, "{}", Value::Array(self.rows.iter().map(object).collect()))?;
            return Ok(());
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.len()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(text(value).chars().count());
            }
        }
        let print = |cells: Vec<String>, out: &mut dyn Write| {
            let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        print(self.names.iter().map(|name| name.to_uppercase()).collect(), &mut out)?;
        for row in &self.rows {
            print(row.iter().map(text).collect(), &mut out)?;
        }
        Ok(())
    }
}
