//! Java's `Pattern` and `Matcher`, as far as routers and predicates need them.

use fancy_regex::{Captures, Regex, RegexBuilder};
use thm_codec::java_regex::{Piece, replacement, translated};

use super::record::DataError;

/// Steps back before a pattern is given up, so that no topic's name holds a task for ever.
const DEFAULT_BACKTRACK_LIMIT: usize = 100_000;

/// A regular expression of Java's.
#[derive(Clone, Debug)]
pub(crate) struct JavaPattern {
    /// Finds it somewhere.
    inside: Regex,
    /// Finds it only as the whole text.
    whole: Regex,
}

impl JavaPattern {
    /// Compiles it; the error is one line.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let compile = |pattern: &str| {
            let built = RegexBuilder::new(pattern).backtrack_limit(DEFAULT_BACKTRACK_LIMIT).build();
            built.map_err(|error| error.to_string().replace('\n', " "))
        };
        let pattern = translated(pattern);
        Ok(Self { inside: compile(&pattern)?, whole: compile(&format!(r"\A(?:{pattern})\z"))? })
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, DataError> {
        self.whole.is_match(text).map_err(|error| DataError::new(error.to_string()))
    }

    /// `Matcher.replaceFirst`: the first place that matches, replaced.
    pub(crate) fn replace_first(&self, text: &str, replacement: &str) -> Result<String, DataError> {
        let found = self.inside.captures(text).map_err(|error| DataError::new(error.to_string()))?;
        let Some((found, place)) = found.and_then(|found| found.get(0).map(|place| (found, place))) else {
            return Ok(text.to_owned());
        };
        let mut out = text[..place.start()].to_owned();
        self.append(&mut out, &found, replacement)?;
        out.push_str(&text[place.end()..]);
        Ok(out)
    }

    /// A whole match, replaced; none if the text does not match.
    pub(crate) fn route(&self, text: &str, replacement: &str) -> Result<Option<String>, DataError> {
        if self.matches(text)? { self.replace_first(text, replacement).map(Some) } else { Ok(None) }
    }

    /// Appends a replacement, its groups filled in.
    fn append(&self, out: &mut String, found: &Captures<'_>, text: &str) -> Result<(), DataError> {
        let is_named = |name: &str| self.inside.capture_names().flatten().any(|known| known == name);
        for piece in replacement(text, found.len(), is_named).map_err(DataError)? {
            out.push_str(match &piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
                Piece::Named(group) => found.name(group).map_or("", |group| group.as_str()),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_whole_match_is_replaced() {
        let pattern = JavaPattern::new(r"([^.]+)\.([^.]+)\.(?<table>[^.]+)").unwrap();
        let route = |replacement: &str| pattern.route("pg.public.t", replacement);
        assert_eq!(route("cdc_$3").unwrap().as_deref(), Some("cdc_t"));
        assert_eq!(route("${table}$10\\$1").unwrap().as_deref(), Some("tpg0$1"));
        assert_eq!(pattern.route("pg.t", "x").unwrap(), None);
        assert_eq!(route("$4").unwrap_err().0, "No group 4");
        assert!(route("$x").is_err() && route("${x}").is_err() && route("x\\").is_err());
        assert!(JavaPattern::new("(").is_err());
    }

    /// The whole must match, but what is replaced is the first place found.
    #[test]
    fn a_lazy_pattern_replaces_less_than_it_matches() {
        let pattern = JavaPattern::new("a.*?").unwrap();
        assert_eq!(pattern.route("abc", "x").unwrap().as_deref(), Some("xbc"));
    }
}
