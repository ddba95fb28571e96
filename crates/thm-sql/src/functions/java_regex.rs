//! Java's regular expressions on `fancy-regex`; compiled patterns are kept, for most are constants.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use fancy_regex::Regex;
use parking_lot::Mutex;
use thm_codec::java_regex::translated;

/// Patterns that are kept: those of a script's functions, and some that come from columns.
const DEFAULT_MAX_PATTERNS: usize = 256;
/// Steps back before a pattern is given up, so that no record holds a job for ever.
const DEFAULT_BACKTRACK_LIMIT: usize = 1_000_000;

static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);

/// The compiled pattern, or what is wrong with it.
pub fn compiled(pattern: &str) -> Result<Arc<Regex>, String> {
    if let Some(found) = KNOWN.lock().get(pattern) {
        return Ok(Arc::clone(found));
    }
    let built = fancy_regex::RegexBuilder::new(&translated(pattern))
        .backtrack_limit(DEFAULT_BACKTRACK_LIMIT)
        .build()
        .map_err(|error| format!("'{pattern}' is not a regular expression: {error}"))?;
    let built = Arc::new(built);
    let mut known = KNOWN.lock();
    if known.len() >= DEFAULT_MAX_PATTERNS {
        known.clear();
    }
    known.insert(pattern.to_owned(), Arc::clone(&built));
    Ok(built)
}

/// The pattern of the rows before: most are the same in every row, and need no look into the table of all.
#[derive(Default)]
pub struct Last<'a>(Option<(&'a str, Result<Arc<Regex>, String>)>);

impl<'a> Last<'a> {
    /// The compiled pattern of a row.
    pub fn of(&mut self, pattern: &'a str) -> Option<Arc<Regex>> {
        if self.0.as_ref().is_none_or(|(known, _)| *known != pattern) {
            self.0 = Some((pattern, compiled(pattern)));
        }
        self.0.as_ref().and_then(|(_, built)| built.as_ref().ok().cloned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        compiled(pattern).unwrap().is_match(text).unwrap()
    }

    #[test]
    fn reads_what_java_reads() {
        assert!(finds(r"^\Qa.b\E$", "a.b"));
        assert!(!finds(r"^\Qa.b\E$", "axb"));
        assert!(finds("b$", "ab\n"));
        assert!(!finds("a.b", "a\nb"));
        assert!(finds("(?s)a.b", "a\nb"));
        assert!(!finds(r"^\d$", "٣"));
        assert!(finds(r"^\p{L}+$", "é"));
        assert!(!finds(r"^\p{Alpha}+$", "é"));
        assert!(finds(r"^[\w&&[^b]]+$", "ac"));
        assert!(!finds(r"^[\w&&[^b]]+$", "ab"));
        assert!(finds(r"(?<year>\d{4})-\k<year>", "2020-2020"));
        assert!(finds(r"a++b", "aab"));
        assert!(finds("\\u00e9", "é"));
        assert!(compiled("[").is_err());
    }
}
