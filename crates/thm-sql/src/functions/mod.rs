//! The function library: one file per family, each function with what it takes, gives and does.
//!
//! ```text
//!   analyzer ──find, bind──▶ Expr::Call ──eval(Call: arrays in)──▶ Vector: array out
//! ```
//! Which function there is, which arguments it takes, and which type and nullability its result has are Flink's.

mod binary;
pub mod bind;
pub mod call;
mod char_class;
mod collection;
mod collection_types;
mod extreme;
mod hash;
mod java_math;
pub mod java_regex;
mod java_time;
mod json;
mod json_filter;
mod json_path;
mod json_text;
mod like;
mod math;
mod numeric;
mod pattern;
mod regex;
mod simple_date;
mod string;
mod text_parts;
mod time;
mod time_units;
mod url;

use std::fmt;

pub use call::Call;
pub use json::is_made;
pub(crate) use json::writes as json_writes;

use crate::expr::{EvalError, Expr, Vector};
use bind::Bound;

/// Checks and casts the arguments and says the result's type; `None` if they do not fit.
pub type Bind = fn(Vec<Expr>) -> Bound;
/// Computes a batch.
pub type Eval = fn(&Call<'_>) -> Result<Vector, EvalError>;

/// When a function without columns among its arguments changes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Never.
    Never,
    /// From batch to batch: the time.
    PerBatch,
    /// From row to row: chance.
    PerRow,
}

/// A function.
pub struct Function {
    /// Name in upper case.
    pub name: &'static str,
    /// How to call it, for hints.
    pub usage: &'static str,
    /// Types.
    pub bind: Bind,
    /// Values.
    pub eval: Eval,
    /// Whether a bare NULL may be an argument.
    pub nulls: bool,
    /// Whether it may be computed when planning.
    pub changes: Changes,
}

impl Function {
    /// A function of its arguments alone.
    #[must_use]
    pub const fn new(name: &'static str, usage: &'static str, bind: Bind, eval: Eval) -> Self {
        Self { name, usage, bind, eval, nulls: false, changes: Changes::Never }
    }

    /// One that takes a bare NULL.
    #[must_use]
    pub const fn takes_null(self) -> Self {
        Self { nulls: true, ..self }
    }

    /// One whose value changes.
    #[must_use]
    pub const fn changing(self, changes: Changes) -> Self {
        Self { changes, ..self }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const FAMILIES: &[&[Function]] = &[
    numeric::FUNCTIONS,
    math::FUNCTIONS,
    extreme::FUNCTIONS,
    string::FUNCTIONS,
    text_parts::FUNCTIONS,
    char_class::FUNCTIONS,
    like::FUNCTIONS,
    regex::FUNCTIONS,
    hash::FUNCTIONS,
    binary::FUNCTIONS,
    url::FUNCTIONS,
    time::FUNCTIONS,
    time_units::FUNCTIONS,
    collection::FUNCTIONS,
    json::FUNCTIONS,
];

/// Other names of a function.
const ALIASES: &[(&str, &str)] = &[("SUBSTR", "SUBSTRING"), ("CHARACTER_LENGTH", "CHAR_LENGTH"), ("CEILING", "CEIL")];

/// The function of that name, which is in upper case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    all().find(|function| function.name == name)
}

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// All names that can be written.
pub fn names() -> impl Iterator<Item = &'static str> {
    // Values are reached into by `array[1]` and `row.field` alone.
    let plain = |name: &&str| {
        name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && !matches!(*name, "FIELD" | "ITEM")
    };
    all().map(|function| function.name).chain(ALIASES.iter().map(|(alias, _)| *alias)).filter(plain)
}

/// The known name that is most like a wrong one, if any is.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase();
    let scored = known.map(|name| (distance(&wrong, &name.to_ascii_lowercase()), name));
    let limit = wrong.chars().count() / 3 + 1;
    scored.filter(|(score, _)| *score <= limit).min_by_key(|(score, _)| *score).map(|(_, name)| name)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
