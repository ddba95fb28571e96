//! Java's regular expressions, rewritten for `fancy-regex` where the two read a pattern differently, and replacements.

use std::fmt::Write;

/// Line ends that `.` does not match and `$` stands before.
const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// Rewrites what differs: classes are ASCII, `.` stops at five line ends, `$` stands before the last one, `\Q…\E`,
/// `\h`, `\R`, `\uXXXX`, `\p{Alpha}` and their like.
#[must_use]
pub fn translated(pattern: &str) -> String {
    let flags = |letter: char| {
        pattern.starts_with("(?") && pattern.split([')', ':']).next().is_some_and(|flags| flags.contains(letter))
    };
    let (dot_all, multi_line) = (flags('s'), flags('m'));
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => escape(&mut out, &mut rest, depth > 0),
            '[' => {
                depth += 1;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket in first place stands for itself.
                if rest.next_if_eq(&']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ']' if depth > 0 => {
                depth -= 1;
                out.push(']');
            }
            '.' if depth == 0 && !dot_all => {
                let _ = write!(out, "[^{LINE_ENDS}]");
            }
            '$' if depth == 0 && !multi_line => {
                let _ = write!(out, r"(?=(?:\r\n|[{LINE_ENDS}])?\z)");
            }
            // Only Java's && has a meaning in a class; these are plain there.
            '~' | '-' if depth > 0 && rest.peek() == Some(&letter) => {
                let _ = write!(out, r"\{letter}");
            }
            other => out.push(other),
        }
    }
    out
}

fn escape(out: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, in_class: bool) {
    let Some(letter) = rest.next() else {
        out.push('\\');
        return;
    };
    let class = |inner: &str| if in_class { inner.to_owned() } else { format!("[{inner}]") };
    match letter {
        'd' => out.push_str(&class("0-9")),
        'w' => out.push_str(&class("a-zA-Z_0-9")),
        's' => out.push_str(&class(r" \t\n\x0B\f\r")),
        'h' => out.push_str(&class(r" \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}")),
        'v' => out.push_str(&class(r"\n\x0B\f\r\x{85}\x{2028}\x{2029}")),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^a-zA-Z_0-9]"),
        'S' => out.push_str(r"[^ \t\n\x0B\f\r]"),
        'R' => {
            let _ = write!(out, r"(?:\r\n|[\x0B\f{LINE_ENDS}])");
        }
        'Z' => {
            let _ = write!(out, r"(?=(?:\r\n|[{LINE_ENDS}])?\z)");
        }
        'e' => out.push_str(r"\x1B"),
        'u' => hexadecimal(out, rest, 4),
        'x' if rest.peek() != Some(&'{') => hexadecimal(out, rest, 2),
        '0' => octal(out, rest),
        'Q' => quoted(out, rest),
        'E' => {}
        'p' | 'P' => property(out, rest, letter),
        'b' if in_class => out.push_str(r"\x08"),
        // Letters that mean something to both.
        'b' | 'B' | 'A' | 'z' | 'G' | 'k' | 't' | 'n' | 'r' | 'f' | 'a' | 'x' | '1'..='9' => {
            out.push('\\');
            out.push(letter);
        }
        other => {
            if other.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(other);
        }
    }
}

fn hexadecimal(out: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, digits: usize) {
    out.push_str(r"\x{");
    for _ in 0..digits {
        out.extend(rest.next_if(char::is_ascii_hexdigit));
    }
    out.push('}');
}

fn octal(out: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let mut code = 0_u32;
    for _ in 0..3 {
        let Some(digit) = rest.next_if(|letter| ('0'..='7').contains(letter)) else { break };
        code = code * 8 + digit.to_digit(8).unwrap_or(0);
    }
    let _ = write!(out, r"\x{{{code:x}}}");
}

fn quoted(out: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(letter) = rest.next() {
        if letter == '\\' && rest.next_if_eq(&'E').is_some() {
            return;
        }
        if letter.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(letter);
    }
}

/// `\p{Alpha}` is ASCII in Java; `\p{IsAlphabetic}`, `\p{javaLowerCase}` and `\p{L}` are Unicode's.
fn property(out: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, letter: char) {
    let name: String = if rest.next_if_eq(&'{').is_some() {
        rest.by_ref().take_while(|letter| *letter != '}').collect()
    } else {
        rest.next().into_iter().collect()
    };
    let ascii = match name.as_str() {
        "Lower" => Some("a-z"),
        "Upper" => Some("A-Z"),
        "ASCII" => Some(r"\x00-\x7F"),
        "Alpha" => Some("a-zA-Z"),
        "Digit" => Some("0-9"),
        "Alnum" => Some("a-zA-Z0-9"),
        "Punct" => Some(r"!-/:-@\[-`{-~"),
        "Graph" => Some("!-~"),
        "Print" => Some(" -~"),
        "Blank" => Some(r" \t"),
        "Cntrl" => Some(r"\x00-\x1F\x7F"),
        "XDigit" => Some("0-9a-fA-F"),
        "Space" => Some(r" \t\n\x0B\f\r"),
        _ => None,
    };
    if let Some(ascii) = ascii {
        let not = if letter == 'P' { "^" } else { "" };
        let _ = write!(out, "[{not}{ascii}]");
        return;
    }
    let known = match name.as_str() {
        "javaLowerCase" => "Lowercase",
        "javaUpperCase" => "Uppercase",
        "javaWhitespace" => "White_Space",
        other => other.strip_prefix("Is").unwrap_or(other),
    };
    let _ = write!(out, r"\{letter}{{{known}}}");
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself.
    Text(String),
    /// A group by number; 0 is the whole match.
    Group(usize),
    /// A group by name.
    Named(String),
}

/// Reads a replacement as `Matcher.appendReplacement` does: `$1`, `${name}`, and `\\` before what stands for itself. `groups`
/// counts the whole match too, `is_named` says which names groups have.
///
/// # Errors
/// Java's message, where it refers to no group or ends too early.
pub fn replacement(text: &str, groups: usize, is_named: impl Fn(&str) -> bool) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut plain) = (Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let piece = match letter {
            '\\' => {
                plain.push(rest.next().ok_or("character to be escaped is missing")?);
                continue;
            }
            '$' if rest.next_if_eq(&'{').is_some() => {
                let name: String = rest.by_ref().take_while(|letter| *letter != '}').collect();
                if name.starts_with(|first: char| first.is_ascii_digit()) {
                    return Err(format!("capturing group name {{{name}}} starts with digit character"));
                }
                if !is_named(&name) {
                    return Err(format!("No group with name {{{name}}}"));
                }
                Piece::Named(name)
            }
            '$' => Piece::Group(group(&mut rest, groups)?),
            other => {
                plain.push(other);
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// A group's number: more digits belong to it as long as there is such a group.
fn group(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, groups: usize) -> Result<usize, String> {
    let digit = rest.next().and_then(|letter| letter.to_digit(10));
    let mut group = digit.ok_or("Illegal group reference")? as usize;
    if group >= groups {
        return Err(format!("No group {group}"));
    }
    while let Some(digit) = rest.peek().and_then(|letter| letter.to_digit(10)) {
        let longer = group * 10 + digit as usize;
        if longer >= groups {
            break;
        }
        group = longer;
        rest.next();
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn replacements_are_read_as_java_reads_them() {
        let read = |text: &str| replacement(text, 3, |name| name == "n");
        let text = |text: &str| Piece::Text(text.to_owned());
        let named = Piece::Named("n".to_owned());
        assert_eq!(read("a$1b$10").unwrap(), [text("a"), Piece::Group(1), text("b"), Piece::Group(1), text("0")]);
        assert_eq!(read(r"\$x\\${n}$0").unwrap(), [text(r"$x\"), named, Piece::Group(0)]);
        assert!(read("").unwrap().is_empty());
        for (bad, message) in [
            ("$3", "No group 3"),
            ("$x", "Illegal group reference"),
            ("$", "Illegal group reference"),
            ("${m}", "No group with name {m}"),
            ("${1}", "capturing group name {1} starts with digit character"),
            ("x\\", "character to be escaped is missing"),
        ] {
            assert_eq!(read(bad).unwrap_err(), message);
        }
    }
}
