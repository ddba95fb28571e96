//! JSON paths as the Jayway library reads them: `$.a['b'][0][-1][*]..c[1:2][?(@.x > 1)]`, with `strict` or `lax` before.

use super::json_filter::Filter;
use super::json_text::Json;

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// `.a`, `['a']`
    Key(String),
    /// `['a','b']`
    Keys(Vec<String>),
    /// `[0]`, `[-1]`
    Index(i64),
    /// `[0,1]`
    Indices(Vec<i64>),
    /// `[1:2]`
    Slice(Option<i64>, Option<i64>),
    /// `.*`, `[*]`
    All,
    /// `..` before the next step
    Deep,
    /// `[?(…)]`
    Filter(Filter),
    /// `.length()` and its like, with constants
    Function(String, Vec<Json>),
}

/// A path that has been read.
#[derive(Clone, Debug)]
pub struct Path {
    steps: Vec<Step>,
    /// A missing part is no error.
    pub lax: bool,
}

impl Path {
    /// Reads a path; without a mode it is strict.
    pub fn new(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (lax, spec) = match trimmed.split_once(char::is_whitespace) {
            Some((mode, spec)) if mode.eq_ignore_ascii_case("lax") => (true, spec.trim()),
            Some((mode, spec)) if mode.eq_ignore_ascii_case("strict") => (false, spec.trim()),
            _ => (false, trimmed),
        };
        if spec.is_empty() {
            return Err("json can not be null or empty".to_owned());
        }
        let steps = match spec.strip_prefix('$') {
            Some(rest) => steps(rest)?,
            None => steps(&format!(".{spec}"))?,
        };
        Ok(Self { steps, lax })
    }

    /// What the path finds: several things are an array. A missing part is `None` where the path is lax, and an empty
    /// array if the path could find several things.
    pub fn find(&self, root: &Json) -> Result<Option<Json>, String> {
        match walk(root, root, &self.steps) {
            Ok(found) => Ok(Some(found)),
            Err(_) if self.lax && several_follow(&self.steps) => Ok(Some(Json::Array(Vec::new()))),
            Err(_) if self.lax => Ok(None),
            Err(missing) => Err(missing),
        }
    }
}

pub(super) fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("..") {
            out.push(Step::Deep);
            rest = after;
            if !rest.starts_with('[') {
                rest = name(rest, &mut out)?;
            }
        } else if letter == '.' && rest[1..].starts_with('[') {
            rest = &rest[1..];
        } else if letter == '.' {
            rest = name(&rest[1..], &mut out)?;
        } else if letter == '[' {
            let end = closing(rest).ok_or_else(|| format!("Could not parse token starting at '{rest}'"))?;
            out.push(bracket(rest[1..end].trim())?);
            rest = &rest[end + 1..];
        } else {
            return Err(format!("Could not parse token starting at '{rest}'"));
        }
    }
    Ok(out)
}

fn name<'a>(text: &'a str, out: &mut Vec<Step>) -> Result<&'a str, String> {
    if let Some(rest) = text.strip_prefix('*') {
        out.push(Step::All);
        return Ok(rest);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("Path must not end with a '.' or '..'".to_owned());
    }
    if name.contains(' ') {
        return Err("Use bracket notion ['my prop'] if your property contains blank characters.".to_owned());
    }
    out.push(match name.strip_suffix(')').and_then(|call| call.split_once('(')) {
        Some((function, arguments)) => Step::Function(function.to_owned(), constants(arguments)?),
        None => Step::Key(name.to_owned()),
    });
    Ok(rest)
}

/// Arguments of a function: numbers and texts.
fn constants(text: &str) -> Result<Vec<Json>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|one| Json::parse(one.trim()).map_err(|_| format!("Could not parse argument '{one}'")))
        .collect()
}

/// Where the bracket that opens the text closes: quotes and inner brackets are passed.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Result<Step, String> {
    let wrong = || format!("Could not parse token starting at '[{inner}]'");
    if inner == "*" {
        return Ok(Step::All);
    }
    if let Some(filter) = inner.strip_prefix('?') {
        let filter = filter.trim().strip_prefix('(').and_then(|filter| filter.strip_suffix(')')).ok_or_else(wrong)?;
        return Filter::new(filter).map(Step::Filter);
    }
    if inner.starts_with(['\'', '"']) {
        let mut keys = quoted_names(inner).ok_or_else(wrong)?;
        return Ok(if keys.len() == 1 { Step::Key(keys.remove(0)) } else { Step::Keys(keys) });
    }
    if let Some((from, to)) = inner.split_once(':') {
        let bound = |text: &str| {
            if text.trim().is_empty() { Ok(None) } else { text.trim().parse().map(Some).map_err(|_| wrong()) }
        };
        return Ok(Step::Slice(bound(from)?, bound(to)?));
    }
    let numbers: Result<Vec<i64>, _> = inner.split(',').map(|number| number.trim().parse()).collect();
    let mut numbers = numbers.map_err(|_| wrong())?;
    Ok(if numbers.len() == 1 { Step::Index(numbers.remove(0)) } else { Step::Indices(numbers) })
}

fn quoted_names(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        let quote = letters.next().filter(|letter| matches!(letter, '\'' | '"'))?;
        let mut name = String::new();
        loop {
            match letters.next()? {
                '\\' => name.push(unescaped(&mut letters)?),
                letter if letter == quote => break,
                letter => name.push(letter),
            }
        }
        out.push(name);
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.next() {
            None => return Some(out),
            Some(',') => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
            Some(_) => return None,
        }
    }
}

/// The character that an escape stands for.
fn unescaped(letters: &mut impl Iterator<Item = char>) -> Option<char> {
    Some(match letters.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let digits: String = letters.take(4).collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        other => other,
    })
}

pub(super) fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Int(value) => Some(*value as f64),
        Json::Double(value) => Some(*value),
        Json::Big(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn missing(step: &Step) -> String {
    let shown = match step {
        Step::Key(name) => format!("['{name}']"),
        Step::Index(index) => format!("[{index}]"),
        _ => String::new(),
    };
    format!("No results for path: ${shown}")
}

fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { length + index } else { index };
    usize::try_from(at).ok().filter(|at| i64::try_from(*at).is_ok_and(|at| at < length))
}

/// Follows the steps from a part of the document `root`. Behind a step that finds several things the result is an array, and what is missing is left out.
pub(super) fn walk(root: &Json, value: &Json, steps: &[Step]) -> Result<Json, String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(value.clone()) };
    let several = |items: Vec<&Json>| {
        let mut out = Vec::new();
        for item in items {
            match walk(root, item, rest) {
                Ok(Json::Array(inner)) if several_follow(rest) => out.extend(inner),
                Ok(found) => out.push(found),
                Err(_) => {}
            }
        }
        Ok(Json::Array(out))
    };
    match (step, value) {
        (Step::Key(name), Json::Object(fields)) => {
            let found = fields.iter().find(|(known, _)| known == name).ok_or_else(|| missing(step))?;
            walk(root, &found.1, rest)
        }
        (Step::Keys(names), Json::Object(fields)) => {
            let kept = fields.iter().filter(|(name, _)| names.contains(name)).cloned().collect();
            walk(root, &Json::Object(kept), rest)
        }
        (Step::Index(index), Json::Array(items)) => {
            let at = place(*index, items.len()).ok_or_else(|| missing(step))?;
            walk(root, &items[at], rest)
        }
        (Step::Indices(indices), Json::Array(items)) => {
            several(indices.iter().filter_map(|index| place(*index, items.len()).map(|at| &items[at])).collect())
        }
        (Step::Slice(from, to), Json::Array(items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let bound = |at: Option<i64>, open: i64| {
                at.map_or(open, |at| if at < 0 { length + at } else { at }).clamp(0, length)
            };
            let (from, to) = (bound(*from, 0), bound(*to, length));
            let skip = usize::try_from(from).unwrap_or(0);
            several(items.iter().skip(skip).take(usize::try_from(to - from).unwrap_or(0)).collect())
        }
        (Step::All, Json::Array(items)) => several(items.iter().collect()),
        (Step::All, Json::Object(fields)) => several(fields.iter().map(|(_, value)| value).collect()),
        (Step::Filter(filter), Json::Array(items)) => {
            several(items.iter().filter(|item| filter.holds(root, item)).collect())
        }
        (Step::Filter(filter), item @ Json::Object(_)) => {
            several(Some(item).filter(|item| filter.holds(root, item)).into_iter().collect())
        }
        (Step::Deep, _) => {
            let mut all = Vec::new();
            descend(value, &mut all);
            several(all)
        }
        (Step::All, _) => Ok(Json::Array(Vec::new())),
        (Step::Function(name, arguments), _) => function((name, arguments), value),
        _ => Err(missing(step)),
    }
}

/// Whether the rest of a path finds several things itself.
fn several_follow(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::All | Step::Deep | Step::Filter(_) | Step::Slice(..) | Step::Indices(_)))
}

fn descend<'a>(value: &'a Json, out: &mut Vec<&'a Json>) {
    if !value.is_scalar() {
        out.push(value);
    }
    match value {
        Json::Array(items) => items.iter().for_each(|item| descend(item, out)),
        Json::Object(fields) => fields.iter().for_each(|(_, item)| descend(item, out)),
        _ => {}
    }
}

fn function((name, arguments): (&str, &[Json]), value: &Json) -> Result<Json, String> {
    let count = |length: usize| Ok(Json::Int(i64::try_from(length).unwrap_or(i64::MAX)));
    let numbers = || match value {
        Json::Array(items) => items.iter().filter_map(number).collect(),
        _ => Vec::new(),
    };
    match (name, value) {
        ("length" | "size", Json::Array(items)) => count(items.len()),
        ("length" | "size", Json::Object(fields)) => count(fields.len()),
        ("length" | "size", _) => Ok(Json::Null),
        ("keys", Json::Object(fields)) => {
            Ok(Json::Array(fields.iter().map(|(name, _)| Json::Text(name.clone())).collect()))
        }
        ("first", Json::Array(items)) => items.first().cloned().ok_or_else(|| "no first element".to_owned()),
        ("last", Json::Array(items)) => items.last().cloned().ok_or_else(|| "no last element".to_owned()),
        ("index", Json::Array(items)) => {
            let Some(Json::Int(index)) = arguments.first() else { return Err("index() needs a number".to_owned()) };
            place(*index, items.len()).map(|at| items[at].clone()).ok_or_else(|| missing(&Step::Index(*index)))
        }
        ("concat", _) => {
            let own = if let Json::Array(items) = value { items.as_slice() } else { &[] };
            let texts = own
                .iter()
                .chain(arguments)
                .filter_map(|one| if let Json::Text(text) = one { Some(text.as_str()) } else { None });
            Ok(Json::Text(texts.collect()))
        }
        ("min" | "max" | "sum" | "avg" | "stddev", Json::Array(_)) => {
            let all = numbers();
            if all.is_empty() {
                return Err("Aggregation function attempted to calculate value using empty array".to_owned());
            }
            let sum: f64 = all.iter().sum();
            Ok(Json::Double(match name {
                "min" => all.iter().copied().fold(f64::INFINITY, f64::min),
                "max" => all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                "sum" => sum,
                "stddev" => {
                    let count = all.len() as f64;
                    let squares: f64 = all.iter().map(|one| one * one).sum();
                    (squares / count - (sum / count) * (sum / count)).sqrt()
                }
                _ => sum / all.len() as f64,
            }))
        }
        _ => Err(format!("Function with name: {name} does not exist.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = r#"{"a":1,"f":[1,2,{"g":"h","n":3}],"o":{"p":"q"},"k y":2,"b":[{"x":1},{"x":2}]}"#;

    fn found(path: &str) -> Option<String> {
        let mut out = String::new();
        Path::new(path).ok()?.find(&Json::parse(TEXT).unwrap()).ok()??.write(&mut out);
        Some(out)
    }

    #[test]
    fn follows_every_kind_of_step() {
        assert_eq!(found("$.f[2].g").as_deref(), Some("\"h\""));
        assert_eq!(found("$.f[-1].n").as_deref(), Some("3"));
        assert_eq!(found("$['k y']").as_deref(), Some("2"));
        assert_eq!(found("$.b[*].x").as_deref(), Some("[1,2]"));
        assert_eq!(found("$..p").as_deref(), Some("[\"q\"]"));
        assert_eq!(found("$.f[0:2]").as_deref(), Some("[1,2]"));
        assert_eq!(found("$.b[?(@.x > 1)].x").as_deref(), Some("[2]"));
        assert_eq!(found("$.f.length()").as_deref(), Some("3"));
        assert_eq!(found("a").as_deref(), Some("1"));
        assert_eq!(found("LAX $.[\"k\\u0020y\"]").as_deref(), Some("2"));
        assert_eq!(found("$.f.index(1)").as_deref(), Some("2"));
        for (filter, wanted) in [
            ("@.x != 1", "[2]"),
            ("@.y != null", "[1,2]"),
            ("@.x == '1'", "[1]"),
            ("@.x > $.a", "[2]"),
            ("@.x == @.x", "[1,2]"),
            ("!(@.x == 1)", "[2]"),
            ("1 == 1", "[1,2]"),
            ("@.x =~ /1/", "[]"),
            ("@.y empty true", "[]"),
        ] {
            assert_eq!(found(&format!("$.b[?({filter})].x")).as_deref(), Some(wanted), "{filter}");
        }
        assert_eq!(found("$.f[?(@.g =~ /H/i)].n").as_deref(), Some("[3]"));
        assert_eq!(found("$.f[?(@.g contains 'h' && @.g size 1)].n").as_deref(), Some("[3]"));
        for absent in ["$.missing", "", "$.f[5]", "$.o.p.x", "$.\"k y\"", "lax $.missing", "$["] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics(path in "(lax |strict )?[$@a-f.\\[\\]*:,0-9'\"?()=!<>~/&| é\\\\-]{0,30}") {
            let _ = found(&path);
            let _ = found(&format!("$.b[?({path})]"));
            let _ = found(&format!("$[{path}]"));
        }
    }
}
