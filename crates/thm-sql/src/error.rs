//! `SqlDiagnostic`: what is wrong with a SQL text, where, and what to write instead.
//!
//! Flows in: a message, a place in the text, a hint. Flows out: a miette diagnostic that prints the line with a
//! caret, or a [`thm_api::Error`] for callers that only speak that. Invariant: line, column and span always agree,
//! and the span lies inside the text.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use sqlparser::tokenizer::{Location, Span};
use thm_api::ErrorKind;

/// What to say of statements that would keep state between rows of a stream.
pub(crate) const STATELESS_HINT: &str = "Jobs on streams keep no state so far: projections, filters, look-ups, UNNEST and UNION ALL. Aggregates, windows, \
     stream joins, DISTINCT, ORDER BY and top-N come in part two.";

/// Longest lines that are printed with a caret: beyond the width that a formatter can pad a terminal would show nothing
/// of use. Place and message are told of any.
const MAX_SHOWN_BYTES: usize = 8 * 1024;

/// Result of anything that reads SQL.
pub type SqlResult<T> = Result<T, SqlDiagnostic>;

/// An error in a SQL text: code `THM-SQL-001`, message, place, hint.
#[derive(Clone)]
pub struct SqlDiagnostic(Box<Inner>);

#[derive(Clone)]
struct Inner {
    message: String,
    hint: Option<String>,
    place: Span,
    source: Option<Source>,
}

#[derive(Clone)]
struct Source {
    named: NamedSource<Arc<String>>,
    bytes: SourceSpan,
}

impl SqlDiagnostic {
    /// An error at a place. The text is added once by [`SqlDiagnostic::in_text`].
    #[must_use]
    pub fn new(place: Span, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { message: message.into(), hint: None, place, source: None }))
    }

    /// A word that cannot stand where it does, and what could.
    #[must_use]
    pub fn encountered(place: Span, found: &str, wanted: &str) -> Self {
        let (line, column) = (place.start.line.max(1), place.start.column.max(1));
        let found = found.replace('\'', "\\'").replace('"', "\\\"");
        Self::new(place, format!("Encountered \"{found}\" at line {line}, column {column}. Was expecting {wanted}"))
    }

    /// The same in other words.
    #[must_use]
    pub(crate) fn reworded(mut self, message: String) -> Self {
        self.0.message = message;
        self
    }

    /// With what to write instead; sentences.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the text it is about, so that it prints the line and a caret.
    #[must_use]
    pub fn in_text(mut self, name: &str, text: &Arc<String>) -> Self {
        if self.0.place == Span::empty() {
            self.0.place = Span::new(Location::new(1, 1), Location::new(1, 1));
        }
        let start = byte_of(text, self.0.place.start);
        let end = byte_of(text, self.0.place.end).max(start);
        let width = if end == start { char_width(text, start) } else { end - start };
        if shown_bytes(text, start, end) > MAX_SHOWN_BYTES {
            self.0.message = format!("{name}: {}", self.0.message);
            return self;
        }
        self.0.source = Some(Source {
            named: NamedSource::new(name, Arc::clone(text)).with_language("SQL"),
            bytes: SourceSpan::new(start.into(), width),
        });
        self
    }

    /// What is wrong, without place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Line, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.0.place.start.line.max(1)
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> u64 {
        self.0.place.start.column.max(1)
    }
}

/// Byte at which a place begins; the end of the text if it lies beyond.
pub(crate) fn byte_of(text: &str, place: Location) -> usize {
    let mut start = 0;
    for _ in 1..place.line.max(1) {
        match text[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return text.len(),
        }
    }
    let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
    text[start..].char_indices().nth(column).map_or(text.len(), |(byte, _)| start + byte)
}

/// Bytes of the lines in which a place lies.
fn shown_bytes(text: &str, start: usize, end: usize) -> usize {
    let before = text[..start].rfind('\n').map_or(start, |newline| start - newline);
    let behind = text[end..].find('\n').unwrap_or(text.len() - end);
    before + (end - start) + behind
}

fn char_width(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

impl fmt::Display for SqlDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line(), self.column(), self.0.message)
    }
}

impl fmt::Debug for SqlDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.0.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for SqlDiagnostic {}

impl Diagnostic for SqlDiagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(ErrorKind::InvalidSql.code()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.0.hint.as_deref().unwrap_or(ErrorKind::InvalidSql.hint());
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source.as_ref().map(|source| &source.named as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let source = self.0.source.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".to_owned()), source.bytes))))
    }
}

impl From<SqlDiagnostic> for thm_api::Error {
    fn from(error: SqlDiagnostic) -> Self {
        let name = error.0.source.as_ref().map_or("statement", |source| source.named.name()).to_owned();
        let hint = error.0.hint.clone();
        let mut out = Self::new(ErrorKind::InvalidSql, "reading the SQL", name).with_source(error);
        if let Some(hint) = hint {
            out = out.with_hint(hint);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_characters_not_bytes() {
        let text = Arc::new("SELECT 'é',\n  naïve FROM t".to_owned());
        let place = Span::new(Location::new(2, 3), Location::new(2, 8));
        let error = SqlDiagnostic::new(place, "Column 'naïve' not found in any table").in_text("a.sql", &text);
        let label = error.labels().and_then(|mut labels| labels.next());
        let span = label.map(|label| (label.offset(), label.len()));
        assert_eq!(span.map(|(at, len)| &text[at..at + len]), Some("naïve"));
        assert_eq!((error.line(), error.column()), (2, 3));
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        let text = Arc::new("SELECT".to_owned());
        let place = Span::new(Location::new(9, 9), Location::new(9, 9));
        let error = SqlDiagnostic::new(place, "unexpected end").in_text("a.sql", &text);
        let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        assert_eq!(offset, Some(6));
    }

    #[test]
    fn of_a_line_without_end_only_the_place_is_told() {
        let text = Arc::new(format!("SELECT {}x", " ".repeat(200_000)));
        let place = Span::new(Location::new(1, 200_008), Location::new(1, 200_009));
        let error = SqlDiagnostic::new(place, "no x").in_text("a.sql", &text);
        assert!(error.source_code().is_none());
        assert_eq!(error.to_string(), "line 1, column 200008: a.sql: no x");
        let shown = format!("{:?}", miette::Report::new(error));
        assert!(shown.contains("column 200008"), "{shown}");
    }
}
