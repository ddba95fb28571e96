//! SQL's own patterns: LIKE is matched directly, SIMILAR TO becomes a regular expression.

/// A part of a LIKE pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// These characters.
    Text(String),
    /// `_`: one character that is no line end.
    One,
    /// `%`: any characters.
    Any,
}

/// A LIKE pattern that has been read.
#[derive(Clone, Debug)]
pub(super) struct Like {
    parts: Vec<Part>,
}

impl Like {
    /// Reads a pattern; behind the escape character only `_`, `%` and itself may stand.
    pub fn new(pattern: &str, escape: Option<char>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut letters = pattern.char_indices();
        while let Some((at, letter)) = letters.next() {
            if Some(letter) == escape {
                match letters.next() {
                    Some((_, next)) if matches!(next, '_' | '%') || Some(next) == escape => text.push(next),
                    _ => return Err(format!("Invalid escape sequence '{pattern}', {at}")),
                }
                continue;
            }
            let special = match letter {
                '_' => Part::One,
                '%' => Part::Any,
                _ => {
                    text.push(letter);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            if special != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(special);
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Whether the whole text matches. Walks back to the last `%` only, so the time is bounded by text × pattern.
    pub fn matches(&self, text: &str) -> bool {
        let (mut part, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match self.parts.get(part) {
                Some(Part::Any) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(Part::Text(wanted)) if text[at..].starts_with(wanted.as_str()) => Some(wanted.len()),
                Some(Part::One) => text[at..].chars().next().filter(|letter| !is_line_end(*letter)).map(char::len_utf8),
                None if at == text.len() => return true,
                _ => None,
            };
            if let Some(step) = step {
                at += step;
                part += 1;
                continue;
            }
            // Let the last % take one character more.
            let Some((any, from)) = retry else { return false };
            let Some(letter) = text[from..].chars().next() else { return false };
            retry = Some((any, from + letter.len_utf8()));
            (part, at) = (any + 1, from + letter.len_utf8());
        }
    }
}

const fn is_line_end(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// SIMILAR TO as a regular expression: `_` and `%` as in LIKE, `\` and `$` as themselves, in brackets letters and ranges alone,
/// the rest as it is.
pub(super) fn similar_to_regex(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut letters = pattern.char_indices();
    let mut in_class = false;
    while let Some((at, letter)) = letters.next() {
        if Some(letter) == escape {
            match letters.next() {
                Some((_, next)) if "_%|*+?{}()[]-^".contains(next) || Some(next) == escape => {
                    out.push('\\');
                    out.push(next);
                }
                _ => return Err(format!("Invalid escape sequence '{pattern}', {at}")),
            }
            continue;
        }
        match letter {
            '_' if !in_class => out.push('.'),
            '%' if !in_class => out.push_str(".*"),
            '[' if !in_class => {
                in_class = true;
                out.push('[');
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' => out.push_str(r"\["),
            '_' | '%' | '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' if in_class => {
                return Err(format!("Invalid regular expression '{pattern}'"));
            }
            // Letters of their own here, unlike in Java's expressions.
            '\\' | '$' => out.extend(['\\', letter]),
            '{' if !is_repetition(&pattern[at..]) => {
                return Err(format!("Illegal repetition near index {}\n{pattern}", at + 1));
            }
            other => out.push(other),
        }
    }
    if in_class {
        return Err(format!("Unmatched [ in '{pattern}'"));
    }
    Ok(posix_classes(out))
}

/// Whether it begins with `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &str) -> bool {
    let inner = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(inner, _)| inner);
    inner.is_some_and(|inner| {
        inner.starts_with(|first: char| first.is_ascii_digit())
            && inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
            && inner.matches(',').count() < 2
    })
}

/// `[[:ALPHA:]]` and its like.
fn posix_classes(mut regex: String) -> String {
    const CLASSES: &[(&str, &str)] = &[
        ("\\[:ALPHA:]", "\\p{Alpha}"),
        ("\\[:DIGIT:]", "\\p{Digit}"),
        ("\\[:UPPER:]", "\\p{Upper}"),
        ("\\[:LOWER:]", "\\p{Lower}"),
        ("\\[:ALNUM:]", "\\p{Alnum}"),
        ("\\[:SPACE:]", "\\p{Space}"),
    ];
    for (written, class) in CLASSES {
        regex = regex.replace(written, class).replace(&written.to_ascii_lowercase(), class);
    }
    regex
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
        Like::new(pattern, escape).unwrap().matches(text)
    }

    #[test]
    fn like_matches_whole_texts() {
        assert!(like("abcabc", "a%c", None));
        assert!(like("", "%", None));
        assert!(!like("abc", "ab", None));
        assert!(like("aXbXc", "%X_", None));
        assert!(!like("a\nb", "a_b", None));
        assert!(like("a\nb", "a%b", None));
        assert!(like("a%c", r"a\%c", Some('\\')));
        assert!(!like("abc", r"a\%c", Some('\\')));
        assert!(Like::new(r"a\c", Some('\\')).is_err());
        assert!(like(&"a".repeat(5_000), &"%a".repeat(500), None));
    }
}
