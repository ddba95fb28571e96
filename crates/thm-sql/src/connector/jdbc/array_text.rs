//! PostgreSQL's text of an array of one dimension → the texts of its elements.
//!
//! ```text
//!   {1,NULL,"a \"b\", c"}      [2:3]={x,y}: bounds are left out, as JDBC leaves them out
//! ```
//! In quotes a backslash takes the next character as it is; `NULL` without quotes is no text but a missing one.

/// The elements; none if this is no array of one dimension.
pub(crate) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let braces = match text.strip_prefix('[') {
        Some(bounds) => bounds.split_once("]=")?.1,
        None => text,
    };
    let inside = braces.strip_prefix('{')?.strip_suffix('}')?;
    let mut out = Vec::new();
    if inside.is_empty() {
        return Some(out);
    }
    let mut chars = inside.chars().peekable();
    loop {
        let mut element = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.peek().copied() {
                Some('"') if quoted => {
                    chars.next();
                    break;
                }
                Some(',') | None if !quoted => break,
                Some('{' | '}') if !quoted => return None,
                None => return None,
                Some('\\') => {
                    chars.next();
                    element.push(chars.next()?);
                }
                Some(other) => {
                    chars.next();
                    element.push(other);
                }
            }
        }
        let missing = !quoted && element.eq_ignore_ascii_case("null");
        out.push((!missing).then_some(element));
        match chars.next() {
            Some(',') => {}
            None => return Some(out),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(text: &str) -> Vec<Option<String>> {
        elements(text).unwrap()
    }

    #[test]
    fn what_postgresql_prints_is_read() {
        let texts = |words: &[Option<&str>]| -> Vec<Option<String>> {
            words.iter().map(|word| word.map(str::to_owned)).collect()
        };
        assert_eq!(of("{}"), texts(&[]));
        assert_eq!(of("{1,NULL,3}"), texts(&[Some("1"), None, Some("3")]));
        assert_eq!(of(r#"{"a \"b\", c","",NULL,"NULL","\\x00"}"#), {
            texts(&[Some(r#"a "b", c"#), Some(""), None, Some("NULL"), Some(r"\x00")])
        });
        assert_eq!(of("[2:3]={x,y}"), texts(&[Some("x"), Some("y")]));
    }

    #[test]
    fn what_is_no_array_of_one_dimension_is_none() {
        for text in ["", "1", "{1", "{{1,2},{3,4}}", r#"{"a"#, r#"{"a"b}"#, r"{a\"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }
}
