//! The function library: one file per family, each function with what it takes, gives and does.

mod numeric;
mod string;
mod time;

use std::fmt;

use crate::expr::{EvalError, Expr, Input, Mask, Vector};
use crate::types::{DataType, LogicalType};

/// Checks and casts the arguments and says the result's type; `None` if they do not fit.
pub type Bind = fn(Vec<Expr>) -> Option<(Vec<Expr>, DataType)>;
/// Computes a batch; the second argument is the result's type.
pub type Eval = fn(&[Vector], LogicalType, &Input<'_>, Mask<'_>) -> Result<Vector, EvalError>;

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
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const FAMILIES: [&[Function]; 3] = [numeric::FUNCTIONS, string::FUNCTIONS, time::FUNCTIONS];

/// The function of that name, which is in upper case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    let name = match name {
        "SUBSTR" => "SUBSTRING",
        "CHARACTER_LENGTH" => "CHAR_LENGTH",
        "CEILING" => "CEIL",
        other => other,
    };
    FAMILIES.iter().flat_map(|family| family.iter()).find(|function| function.name == name)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.iter()).map(|function| function.name)
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

/// Whether any argument may be NULL.
fn any_nullable(arguments: &[Expr]) -> bool {
    arguments.iter().any(|argument| argument.data_type.nullable)
}
