//! Hints: `/*+ NAME('key' = 'value', word) */`, which the tokenizer takes for comments.
//!
//! A hint belongs to the token before it: a table's name or SELECT. Invariant: a hint that nothing asks for is refused
//! by [`Hints::all_used`], so none is ignored.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlparser::tokenizer::{Location, Span, Token, Tokenizer, Whitespace};

use super::ast::{Spanned, WrittenOption};
use super::dialect::FlinkDialect;
use crate::error::{SqlDiagnostic, SqlResult};

/// Hints that tell Flink how to run a join, and change no result.
const HOW_TO_JOIN: &[&str] =
    &["BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "STATE_TTL", "MULTI_JOIN", "PROPERTIES"];

/// One hint.
#[derive(Debug)]
pub struct Hint {
    /// Its name in upper case.
    pub name: String,
    /// `'key' = 'value'`
    pub options: Vec<WrittenOption>,
    /// Where the comment stands.
    pub span: Span,
    /// Where the token before it begins.
    anchor: Location,
    used: AtomicBool,
}

/// Hints of one statement.
#[derive(Debug, Default)]
pub struct Hints(Vec<Hint>);

impl Hints {
    /// Options for the table whose name ends with the token at this place.
    #[must_use]
    pub fn options(&self, at: Span) -> Vec<WrittenOption> {
        self.find("OPTIONS", at).map_or_else(Vec::new, |hint| hint.options.clone())
    }

    /// The hint of that name behind the token at this place.
    #[must_use]
    pub fn find(&self, name: &str, at: Span) -> Option<&Hint> {
        let found = self.0.iter().find(|hint| hint.name == name && hint.anchor == at.start)?;
        found.used.store(true, Ordering::Relaxed);
        Some(found)
    }

    /// All of a name, wherever they stand.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Hint> {
        self.0.iter().filter(move |hint| hint.name == name).inspect(|hint| hint.used.store(true, Ordering::Relaxed))
    }

    /// Hints without effect, for notices.
    pub fn without_effect(&self) -> impl Iterator<Item = String> {
        let idle = self.0.iter().filter(|hint| HOW_TO_JOIN.contains(&hint.name.as_str()));
        idle.map(|hint| format!("hint {} has no effect here", hint.name))
    }

    /// Refuses a hint that belongs to nothing.
    pub fn all_used(&self) -> SqlResult<()> {
        let idle = |hint: &&Hint| !hint.used.load(Ordering::Relaxed) && !HOW_TO_JOIN.contains(&hint.name.as_str());
        match self.0.iter().find(idle) {
            None => Ok(()),
            Some(hint) => {
                Err(SqlDiagnostic::new(hint.span, format!("hint {} stands behind nothing that takes it", hint.name))
                    .with_hint("OPTIONS stands right behind a table's name, LOOKUP right behind SELECT."))
            }
        }
    }

    /// Takes out those before a place: the ones of one statement.
    pub(super) fn split_before(&mut self, end: Option<Location>) -> Self {
        let before = |hint: &Hint| {
            let at = hint.span.start;
            end.is_none_or(|end| (at.line, at.column) < (end.line, end.column))
        };
        let count = self.0.iter().take_while(|hint| before(hint)).count();
        Self(self.0.drain(..count).collect())
    }

    /// Adds the hints of a comment, which begins with `+`.
    pub(super) fn read(&mut self, comment: &str, span: Span, anchor: Location) -> SqlResult<()> {
        let bad = || {
            SqlDiagnostic::new(span, format!("hint `{}` cannot be read", comment.trim_start_matches('+').trim()))
                .with_hint("Write /*+ OPTIONS('key' = 'value') */.")
        };
        let tokens = Tokenizer::new(&FlinkDialect, comment.trim_start_matches('+')).tokenize().map_err(|_| bad())?;
        let mut tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).peekable();
        while let Some(token) = tokens.next() {
            let name = match token {
                Token::Word(word) => word.value.to_ascii_uppercase(),
                Token::Comma => continue,
                _ => return Err(bad()),
            };
            let mut inside = Vec::new();
            if tokens.next_if(|token| *token == Token::LParen).is_some() {
                loop {
                    match tokens.next() {
                        None => return Err(bad()),
                        Some(Token::RParen) => break,
                        Some(token) => inside.push(token),
                    }
                }
            }
            let known = ["OPTIONS", "LOOKUP"].contains(&name.as_str());
            if !known && !HOW_TO_JOIN.contains(&name.as_str()) {
                let message = format!("Hint: {name} should be one of [OPTIONS, LOOKUP, {}].", HOW_TO_JOIN.join(", "));
                return Err(SqlDiagnostic::new(span, message).with_hint("Remove the hint, or correct its name."));
            }
            let options = if known { options(&inside, span).ok_or_else(bad)? } else { Vec::new() };
            self.0.push(Hint { name, options, span, anchor, used: AtomicBool::new(false) });
        }
        Ok(())
    }
}

/// `'key' = 'value', …`; keys may be bare words.
fn options(inside: &[Token], span: Span) -> Option<Vec<WrittenOption>> {
    let text = |token: &Token| match token {
        Token::SingleQuotedString(text) => Some(Spanned { value: text.clone(), span }),
        Token::Word(word) => Some(Spanned { value: word.value.clone(), span }),
        _ => None,
    };
    let entry = |entry: &[Token]| match entry {
        [key, Token::Eq, value] => Some((text(key)?, text(value)?)),
        _ => None,
    };
    inside.split(|token| *token == Token::Comma).map(entry).collect()
}

/// Whether a token is a hint, and its text.
pub(super) fn comment(token: &Token) -> Option<&str> {
    match token {
        Token::Whitespace(Whitespace::MultiLineComment(comment)) if comment.starts_with('+') => Some(comment),
        _ => None,
    }
}
