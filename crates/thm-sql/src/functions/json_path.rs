//! JSON paths as the Jayway library reads them: `$.a['b'][0][-1][*]..c[1:2][?(@.x > 1)]`, with `strict` or `lax` before.

use super::json_text::Json;

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
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
    /// `[?(…)]`: any of these holds, each of which is some that all hold.
    Filter(Vec<Vec<Test>>),
    /// `.length()` and its like
    Function(String),
}

/// A condition of a filter.
#[derive(Clone, Debug, PartialEq)]
struct Test {
    negated: bool,
    path: Vec<Step>,
    /// Sign and value; none asks whether it is there.
    compare: Option<(String, Json)>,
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
            Some(("lax", spec)) => (true, spec.trim()),
            Some(("strict", spec)) => (false, spec.trim()),
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
        match walk(root, &self.steps) {
            Ok(found) => Ok(Some(found)),
            Err(_) if self.lax && several_follow(&self.steps) => Ok(Some(Json::Array(Vec::new()))),
            Err(_) if self.lax => Ok(None),
            Err(missing) => Err(missing),
        }
    }
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("..") {
            out.push(Step::Deep);
            rest = after;
            if !rest.starts_with('[') {
                rest = name(rest, &mut out)?;
            }
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
    out.push(match name.strip_suffix("()") {
        Some(function) => Step::Function(function.to_owned()),
        None => Step::Key(name.to_owned()),
    });
    Ok(rest)
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
        return filter
            .split("||")
            .map(|part| part.split("&&").map(test).collect())
            .collect::<Result<_, _>>()
            .map(Step::Filter);
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
                '\\' => name.push(letters.next()?),
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

fn test(text: &str) -> Result<Test, String> {
    let text = text.trim();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let wrong = || format!("Failed to parse filter: [?({text})]");
    let text = text.trim().strip_prefix('@').ok_or_else(wrong)?;
    for sign in ["==", "!=", "<=", ">=", "<>", "<", ">"] {
        if let Some((path, value)) = text.split_once(sign) {
            let value = value.trim();
            let value = match value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')) {
                Some(text) => Json::Text(text.to_owned()),
                None => Json::parse(value).map_err(|_| wrong())?,
            };
            return Ok(Test { negated, path: steps(path.trim())?, compare: Some((sign.to_owned(), value)) });
        }
    }
    Ok(Test { negated, path: steps(text.trim())?, compare: None })
}

impl Test {
    fn holds(&self, item: &Json) -> bool {
        let found = walk(item, &self.path).ok();
        let holds = match &self.compare {
            None => found.is_some(),
            Some((sign, wanted)) => found.is_some_and(|found| compares(&found, sign, wanted)),
        };
        holds != self.negated
    }
}

fn compares(found: &Json, sign: &str, wanted: &Json) -> bool {
    use std::cmp::Ordering;
    let order = match (number(found), number(wanted)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (found, wanted) {
            (Json::Text(a), Json::Text(b)) => Some(a.cmp(b)),
            (a, b) => {
                return match sign {
                    "==" => a == b,
                    "!=" | "<>" => a != b,
                    _ => false,
                };
            }
        },
    };
    match sign {
        "==" => order == Some(Ordering::Equal),
        "!=" | "<>" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn number(value: &Json) -> Option<f64> {
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

/// Follows the steps. Behind a step that finds several things the result is an array, and what is missing is left out.
fn walk(value: &Json, steps: &[Step]) -> Result<Json, String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(value.clone()) };
    let several = |items: Vec<&Json>| {
        let mut out = Vec::new();
        for item in items {
            match walk(item, rest) {
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
            walk(&found.1, rest)
        }
        (Step::Keys(names), Json::Object(fields)) => {
            let kept = fields.iter().filter(|(name, _)| names.contains(name)).cloned().collect();
            walk(&Json::Object(kept), rest)
        }
        (Step::Index(index), Json::Array(items)) => {
            let at = place(*index, items.len()).ok_or_else(|| missing(step))?;
            walk(&items[at], rest)
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
        (Step::Filter(tests), Json::Array(items)) => several(
            items.iter().filter(|item| tests.iter().any(|all| all.iter().all(|test| test.holds(item)))).collect(),
        ),
        (Step::Filter(tests), item @ Json::Object(_)) => {
            several(if tests.iter().any(|all| all.iter().all(|test| test.holds(item))) {
                vec![item]
            } else {
                Vec::new()
            })
        }
        (Step::Deep, _) => {
            let mut all = Vec::new();
            descend(value, &mut all);
            several(all)
        }
        (Step::All, _) => Ok(Json::Array(Vec::new())),
        (Step::Function(name), _) => function(name, value),
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

fn function(name: &str, value: &Json) -> Result<Json, String> {
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
        ("min" | "max" | "sum" | "avg", Json::Array(_)) => {
            let all = numbers();
            if all.is_empty() {
                return Err("Aggregation function attempted to calculate value using empty array".to_owned());
            }
            let sum: f64 = all.iter().sum();
            Ok(Json::Double(match name {
                "min" => all.iter().copied().fold(f64::INFINITY, f64::min),
                "max" => all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                "sum" => sum,
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
        for absent in ["$.missing", "", "$.f[5]", "$.o.p.x", "$.\"k y\"", "lax $.missing", "$["] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }
}
