//! Which arguments a function takes, and the type and nullability of its result.

use crate::expr::Expr;
use crate::types::{DataType, LogicalType};

/// Arguments as the function wants them, and its result's type.
pub type Bound = Option<(Vec<Expr>, DataType)>;

/// Checks arguments against forms, one letter an argument, and casts them to what the letter promises:
///
/// ```text
///   t text   x text or bytes   b BOOLEAN   n number   i integer as INT   l integer as BIGINT   d number as DOUBLE
///   s TIMESTAMP or TIMESTAMP_LTZ   a ARRAY   m MAP   e anything   * any number of what stands before it
/// ```
pub fn take(arguments: Vec<Expr>, forms: &[&str]) -> Option<Vec<Expr>> {
    let form = forms.iter().find(|form| fits(&arguments, form))?;
    let mut letters = form.chars().filter(|letter| *letter != '*');
    let mut last = 'e';
    let cast = |argument: Expr| {
        last = letters.next().unwrap_or(last);
        let kind = argument.data_type.kind;
        match last {
            'i' => argument.cast(LogicalType::Int),
            'l' => argument.cast(LogicalType::BigInt),
            'd' => argument.cast(LogicalType::Double),
            't' | 'x' if kind == LogicalType::Null => argument.cast(LogicalType::STRING),
            'b' => argument.cast(LogicalType::Boolean),
            _ => argument,
        }
    };
    Some(arguments.into_iter().map(cast).collect())
}

fn fits(arguments: &[Expr], form: &str) -> bool {
    let repeats = form.ends_with('*');
    let letters: Vec<char> = form.chars().filter(|letter| *letter != '*').collect();
    let count = if repeats { arguments.len() + 1 >= letters.len() } else { arguments.len() == letters.len() };
    count
        && arguments.iter().enumerate().all(|(position, argument)| {
            let letter = letters.get(position).or(letters.last()).copied().unwrap_or('e');
            accepts(letter, argument.data_type.kind)
        })
}

fn accepts(letter: char, kind: LogicalType) -> bool {
    kind == LogicalType::Null
        || match letter {
            't' => kind.is_text(),
            'x' => kind.is_text() || kind.is_binary(),
            'b' => kind == LogicalType::Boolean,
            'n' | 'd' => kind.is_numeric(),
            'i' | 'l' => kind.is_integer(),
            's' => kind.is_timestamp(),
            'a' => matches!(kind, LogicalType::Array(_)),
            'm' => matches!(kind, LogicalType::Map(_)),
            _ => true,
        }
}

/// NULL where an argument may be.
pub fn strict(arguments: Vec<Expr>, kind: LogicalType) -> Bound {
    let nullable = arguments.iter().any(|argument| argument.data_type.nullable);
    Some((arguments, kind.nullable(nullable)))
}

/// NULL for other reasons too.
pub fn maybe(arguments: Vec<Expr>, kind: LogicalType) -> Bound {
    Some((arguments, kind.nullable(true)))
}

/// Never NULL.
pub fn never(arguments: Vec<Expr>, kind: LogicalType) -> Bound {
    Some((arguments, kind.nullable(false)))
}

/// Length of a text's type.
#[must_use]
pub fn length(kind: LogicalType) -> u32 {
    match kind {
        LogicalType::Char(length)
        | LogicalType::VarChar(length)
        | LogicalType::Binary(length)
        | LogicalType::VarBinary(length) => length,
        _ => crate::types::MAX_LENGTH,
    }
}

/// A VARCHAR, or VARBINARY, as long as the first argument.
#[must_use]
pub fn varying(arguments: &[Expr]) -> LogicalType {
    let kind = arguments.first().map_or(LogicalType::STRING, |argument| argument.data_type.kind);
    if kind.is_binary() { LogicalType::VarBinary(length(kind)) } else { LogicalType::VarChar(length(kind)) }
}
