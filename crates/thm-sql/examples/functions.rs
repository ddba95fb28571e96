//! Rows per second of every operator and function of Flink SQL, on one core, in batches of 8,192 rows.
//!
//! `cargo run --release -p thm-sql --example functions [part of a name]`
#![allow(clippy::print_stdout, missing_docs)]

#[path = "../tests/it/samples.rs"]
mod samples;

use std::time::{Duration, Instant};

use arrow::array::Array;
use thm_sql::expr::Input;

/// Rows of a batch, as a job reads them.
const ROWS: usize = 8_192;
/// Long enough that a clock's tick does not matter.
const TIME: Duration = Duration::from_millis(200);

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let scope = samples::scope();
    let columns = samples::batch(ROWS, |row| row % 16 != 3);
    println!("{:<52} {:>14}", "expression", "rows/s");
    for (title, texts) in [("operators and casts", samples::OPERATORS), ("functions", samples::CALLS)] {
        println!("-- {title}");
        for text in texts.iter().filter(|text| text.contains(&filter)) {
            let expr = samples::typed(&scope, text);
            let (start, mut rows) = (Instant::now(), 0_u64);
            while start.elapsed() < TIME {
                let found = expr.evaluate(&Input::new(&columns, ROWS)).expect("the samples have values for every row");
                rows += u64::try_from(std::hint::black_box(found).len()).unwrap_or(0);
            }
            println!("{text:<52} {:>14.0}", rows as f64 / start.elapsed().as_secs_f64());
        }
    }
}
