//! Filters of JSON paths, `[?(@.price > $.limit && @.name =~ /a.*/i)]`, as the Jayway library reads them.
//!
//! ```text
//!   filter ─▶ any of: all of: [!] operand [sign operand]        operand: @…, $…, a constant, /a pattern/
//! ```
//! What a path does not find is equal to nothing, so that only `!=` holds of it.

use std::cmp::Ordering;
use std::sync::Arc;

use fancy_regex::Regex;

use super::java_regex;
use super::json_path::{Step, number, steps, walk};
use super::json_text::Json;

/// Signs, the longer of two that begin alike first.
const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<>", "=~", "<", ">", " contains ", " size ", " empty "];

/// A filter that has been read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter(Vec<Vec<Test>>);

/// A condition.
#[derive(Clone, Debug, PartialEq)]
struct Test {
    negated: bool,
    left: Operand,
    /// Sign and what stands behind it; none asks whether the left is there.
    compare: Option<(&'static str, Operand)>,
}

#[derive(Clone, Debug)]
enum Operand {
    /// Of the element.
    Item(Vec<Step>),
    /// Of the document.
    Root(Vec<Step>),
    Constant(Json),
    Pattern(Arc<Regex>),
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Item(a), Self::Item(b)) | (Self::Root(a), Self::Root(b)) => a == b,
            (Self::Constant(a), Self::Constant(b)) => a == b,
            (Self::Pattern(a), Self::Pattern(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Filter {
    /// Reads what stands between `?(` and `)`.
    pub fn new(text: &str) -> Result<Self, String> {
        text.split("||").map(|part| part.split("&&").map(test).collect()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it holds for an element of a document.
    pub fn holds(&self, root: &Json, item: &Json) -> bool {
        self.0.iter().any(|all| all.iter().all(|test| test.holds(root, item)))
    }
}

fn test(text: &str) -> Result<Test, String> {
    let text = text.trim();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text).trim();
    let wrong = || format!("Failed to parse filter: [?({text})]");
    let signs = SIGNS.iter().filter_map(|sign| Some((text.find(sign)?, *sign)));
    // The first one; of two that begin there, the longer.
    let first = signs.min_by_key(|(at, sign)| (*at, std::cmp::Reverse(sign.len())));
    let Some((at, sign)) = first else {
        let left = operand(text).filter(|left| matches!(left, Operand::Item(_) | Operand::Root(_)));
        return Ok(Test { negated, left: left.ok_or_else(wrong)?, compare: None });
    };
    let left = operand(text[..at].trim()).ok_or_else(wrong)?;
    let right = operand(text[at + sign.len()..].trim()).ok_or_else(wrong)?;
    if matches!(right, Operand::Pattern(_)) != (sign == "=~") {
        return Err(wrong());
    }
    Ok(Test { negated, left, compare: Some((sign.trim(), right)) })
}

fn operand(text: &str) -> Option<Operand> {
    if let Some(path) = text.strip_prefix('@') {
        return steps(path).ok().map(Operand::Item);
    }
    if let Some(path) = text.strip_prefix('$') {
        return steps(path).ok().map(Operand::Root);
    }
    if let Some((pattern, flags)) = text.strip_prefix('/').and_then(|text| text.rsplit_once('/')) {
        let pattern = if flags.contains('i') { format!("(?i)^(?:{pattern})$") } else { format!("^(?:{pattern})$") };
        return java_regex::compiled(&pattern).ok().map(Operand::Pattern);
    }
    match text.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')) {
        Some(text) => Some(Operand::Constant(Json::Text(text.to_owned()))),
        None => Json::parse(text).ok().map(Operand::Constant),
    }
}

impl Operand {
    fn value(&self, root: &Json, item: &Json) -> Option<Json> {
        match self {
            Self::Item(path) => walk(root, item, path).ok(),
            Self::Root(path) => walk(root, root, path).ok(),
            Self::Constant(value) => Some(value.clone()),
            Self::Pattern(_) => None,
        }
    }
}

impl Test {
    fn holds(&self, root: &Json, item: &Json) -> bool {
        let left = self.left.value(root, item);
        let holds = match &self.compare {
            None => left.is_some(),
            Some((_, Operand::Pattern(pattern))) => {
                matches!(&left, Some(Json::Text(text)) if pattern.is_match(text).unwrap_or(false))
            }
            Some((sign, right)) => match (left, right.value(root, item)) {
                (Some(left), Some(right)) => compares(&left, sign, &right),
                _ => matches!(*sign, "!=" | "<>"),
            },
        };
        holds != self.negated
    }
}

fn compares(left: &Json, sign: &str, right: &Json) -> bool {
    let order = match (left, right) {
        (Json::Text(left), Json::Text(right)) => Some(left.cmp(right)),
        _ => number(left).zip(number(right)).and_then(|(left, right)| left.partial_cmp(&right)),
    };
    match sign {
        "==" => is_equal(left, right),
        "!=" | "<>" => !is_equal(left, right),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        "contains" => match (left, right) {
            (Json::Text(left), Json::Text(right)) => left.contains(right.as_str()),
            (Json::Array(items), right) => items.iter().any(|item| is_equal(item, right)),
            _ => false,
        },
        "size" => length(left).is_some_and(|length| number(right) == Some(length as f64)),
        _ => length(left).is_some_and(|length| *right == Json::Bool(length == 0)),
    }
}

/// A number is equal to a text that shows it.
fn is_equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Text(text), other) | (other, Json::Text(text)) if number(other).is_some() => {
            text.parse().ok() == number(other)
        }
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

fn length(value: &Json) -> Option<usize> {
    match value {
        Json::Text(text) => Some(text.chars().count()),
        Json::Array(items) => Some(items.len()),
        Json::Object(fields) => Some(fields.len()),
        _ => None,
    }
}
