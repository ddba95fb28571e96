//! Text → statements. Flink's statements are read here token by token; queries, expressions and data types are
//! sqlparser's, under [`dialect::FlinkDialect`].
//!
//! Invariant: nothing is skipped. A clause or hint that we lack is refused with its place and what to write instead,
//! and no text makes the parser panic.

pub mod ast;
pub mod data_type;
mod ddl;
mod depth;
pub mod dialect;
mod expression;
pub mod hints;
pub mod reserved;
mod show;
pub(crate) mod statement;
mod values;
mod windows;

use std::sync::Arc;

use sqlparser::ast::{DataType, Query};
use sqlparser::dialect::Dialect as _;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::error::{SqlDiagnostic, SqlResult};
use ast::Parsed;
use depth::Depth;
use dialect::FlinkDialect;
use hints::Hints;
use windows::Window;

/// Longest script: a hand-written file is far below, and everything about it is kept in memory.
pub const DEFAULT_MAX_SCRIPT_BYTES: usize = 1024 * 1024;
/// Most tokens of a statement: what is made of each takes a kilobyte here and there.
pub const DEFAULT_MAX_STATEMENT_TOKENS: usize = 50_000;

/// Reads a whole script.
pub fn parse_script(text: &str) -> SqlResult<Vec<Parsed>> {
    if text.len() > DEFAULT_MAX_SCRIPT_BYTES {
        return Err(SqlDiagnostic::new(Span::empty(), "the script is larger than 1 MiB")
            .with_hint("Split it into several files."));
    }
    let (tokens, mut hints) = tokens_of(text)?;
    let mut cursor = Cursor::new(tokens);
    let mut statements = Vec::new();
    while !cursor.at_end() {
        if cursor.eat(&Token::SemiColon) {
            continue;
        }
        let span = cursor.span();
        let statement = statement::parse(&mut cursor)?;
        let end = cursor.span();
        if !cursor.at_end() && !cursor.eat(&Token::SemiColon) {
            return Err(cursor.expected("\";\""));
        }
        let last = if end.start.line == 0 { text.len() } else { crate::error::byte_of(text, end.start) };
        let own = text.get(crate::error::byte_of(text, span.start)..last).unwrap_or_default();
        let hints = Arc::new(hints.split_before(if end.start.line == 0 { None } else { Some(end.start) }));
        statements.push(Parsed { statement, hints, text: own.trim_end().to_owned(), span });
    }
    Ok(statements)
}

/// Reads one bare query, for bounded evaluation.
pub fn parse_query(text: &str) -> SqlResult<Box<Query>> {
    let mut cursor = Cursor::new(tokens_of(text)?.0);
    let query = statement::query(&mut cursor)?;
    let _ = cursor.eat(&Token::SemiColon);
    if cursor.at_end() { Ok(query) } else { Err(cursor.expected("<EOF>")) }
}

/// Reads a type.
pub(crate) fn parse_type(text: &str) -> SqlResult<DataType> {
    let mut cursor = Cursor::new(tokens_of(text)?.0);
    let data_type = cursor.data_type()?;
    if cursor.at_end() { Ok(data_type) } else { Err(cursor.expected("<EOF>")) }
}

/// Tokens without blanks and comments, and the hints that stood among them.
fn tokens_of(text: &str) -> SqlResult<(Vec<TokenWithSpan>, Hints)> {
    let tokens = Tokenizer::new(&FlinkDialect, text).tokenize_with_location().map_err(|error| {
        let end = Location::new(error.location.line, error.location.column + 1);
        SqlDiagnostic::new(Span::new(error.location, end), format!("Lexical error: {}", error.message))
            .with_hint("Texts stand in single quotes, names with special characters in backticks.")
    })?;
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut hints = Hints::default();
    let (mut in_statement, mut levels) = (0, Depth::new());
    let mut taken: Option<Location> = None;
    for mut token in tokens {
        if taken.is_some_and(|end| token.span.start < end) {
            continue;
        }
        if let Some(comment) = hints::comment(&token.token) {
            let anchor = kept.last().map_or(token.span.start, |before| before.span.start);
            hints.read(comment, token.span, anchor)?;
        }
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::SemiColon => (in_statement, levels) = (0, Depth::new()),
            Token::DoubleEq => {
                return Err(SqlDiagnostic::new(token.span, "Encountered \"= =\"").with_hint("Write = once."));
            }
            Token::DoubleColon => {
                return Err(SqlDiagnostic::new(token.span, "Encountered \":\"").with_hint("Write CAST(x AS type)."));
            }
            Token::Neq
                if text.get(crate::error::byte_of(text, token.span.start)..).is_some_and(|at| at.starts_with('!')) =>
            {
                let message = "Bang equal '!=' is not allowed under the current SQL conformance level";
                return Err(SqlDiagnostic::new(token.span, message).with_hint("Write <>."));
            }
            _ => in_statement += 1,
        }
        // A join of ClickHouse's, to sqlparser; to Flink a reserved word that nothing begins with.
        if let Token::Word(word) = &mut token.token
            && word.keyword == Keyword::GLOBAL
        {
            word.keyword = Keyword::NoKeyword;
        }
        if in_statement > DEFAULT_MAX_STATEMENT_TOKENS {
            let message = format!("the statement has more than {DEFAULT_MAX_STATEMENT_TOKENS} words");
            return Err(SqlDiagnostic::new(token.span, message).with_hint("Split it into several statements."));
        }
        if !levels.take(&token.token) {
            return Err(SqlDiagnostic::new(token.span, "the statement is nested too deeply")
                .with_hint("Split it with a subquery or a view."));
        }
        taken = number_and_word(text, token, &mut kept).or(taken);
    }
    Ok((values::quantified(values::rows(local_time_zone(data_type::split_shifts(kept)))), hints))
}

/// A number that letters follow is the number and a word: `1L` and `0x10` are 1 and 0 with an alias, as in Flink.
/// Gives the end of the word, which later tokens may be part of.
fn number_and_word(text: &str, token: TokenWithSpan, kept: &mut Vec<TokenWithSpan>) -> Option<Location> {
    let source = || text.get(crate::error::byte_of(text, token.span.start)..).unwrap_or_default();
    let digits = match &token.token {
        Token::Number(digits, true) => digits.clone(),
        Token::HexStringLiteral(_) if source().starts_with('0') => "0".to_owned(),
        _ => {
            kept.push(token);
            return None;
        }
    };
    let rest = source().get(digits.len()..).unwrap_or_default().chars();
    let word: String = rest.take_while(|letter| FlinkDialect.is_identifier_part(*letter)).collect();
    let start = token.span.start;
    let middle = Location::new(start.line, start.column + digits.len() as u64);
    let end = Location::new(start.line, middle.column + word.chars().count() as u64);
    kept.push(TokenWithSpan::new(Token::Number(digits, false), Span::new(start, middle)));
    kept.push(TokenWithSpan::new(Token::make_word(&word, None), Span::new(middle, end)));
    Some(end)
}

/// `TIMESTAMP(p) WITH LOCAL TIME ZONE` is `TIMESTAMP_LTZ(p)`, which sqlparser can read.
fn local_time_zone(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at + 4 <= tokens.len() {
        let phrase = ["WITH", "LOCAL", "TIME", "ZONE"];
        let found = phrase.iter().enumerate().all(|(i, word)| is_word(&tokens[at + i].token, word));
        let type_at = match (at.checked_sub(1), at.checked_sub(4)) {
            (Some(before), _) if is_word(&tokens[before].token, "TIMESTAMP") => Some(before),
            (Some(before), Some(first))
                if tokens[before].token == Token::RParen && is_word(&tokens[first].token, "TIMESTAMP") =>
            {
                Some(first)
            }
            _ => None,
        };
        if let (true, Some(type_at)) = (found, type_at) {
            tokens[type_at].token = Token::make_word("TIMESTAMP_LTZ", None);
            tokens.drain(at..at + 4);
        }
        at += 1;
    }
    tokens
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

/// A position in the tokens, with what statements need to read them.
struct Cursor {
    parser: Parser<'static>,
    windows: Vec<Window>,
}

impl Cursor {
    fn new(tokens: Vec<TokenWithSpan>) -> Self {
        let windows = windows::find(&tokens);
        Self { parser: Parser::new(&FlinkDialect).with_tokens_with_locations(tokens), windows }
    }

    fn peek(&self) -> TokenWithSpan {
        self.parser.peek_token()
    }

    fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    fn at_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    fn span(&self) -> Span {
        self.parser.peek_token_ref().span
    }

    fn eat(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    fn peek_word(&self, word: &str) -> bool {
        is_word(&self.parser.peek_token_ref().token, word)
    }

    fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| is_word(&self.parser.peek_nth_token_ref(i).token, word))
    }

    fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            words.iter().for_each(|_| drop(self.next()));
        }
        found
    }

    fn expect_words(&mut self, words: &[&str]) -> SqlResult<()> {
        if self.eat_words(words) { Ok(()) } else { Err(self.expected(&words.join(" "))) }
    }

    fn expect(&mut self, token: &Token) -> SqlResult<()> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(&format!("\"{token}\""))) }
    }

    fn expected(&self, what: &str) -> SqlDiagnostic {
        let found = self.peek();
        let shown = if found.token == Token::EOF { "<EOF>".to_owned() } else { found.token.to_string() };
        SqlDiagnostic::encountered(found.span, &shown, what)
    }

    /// A quoted text.
    fn text(&mut self, what: &str) -> SqlResult<ast::Spanned<String>> {
        let found = self.peek();
        let Token::SingleQuotedString(value) = found.token else {
            return Err(self.expected(what).with_hint("Write it as a text in single quotes."));
        };
        drop(self.next());
        Ok(ast::Spanned { value, span: found.span })
    }

    /// A type.
    fn data_type(&mut self) -> SqlResult<DataType> {
        self.grammar(data_type::written)
    }

    /// Runs a piece of sqlparser's grammar.
    fn grammar<T>(&mut self, read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>) -> SqlResult<T> {
        let start = self.span();
        read(&mut self.parser).map_err(|error| grammar_error(&error, start, self.span()))
    }
}

/// sqlparser says places inside its messages; take them out and say it as Flink does.
fn grammar_error(error: &ParserError, start: Span, here: Span) -> SqlDiagnostic {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return SqlDiagnostic::new(start, "the expression is nested too deeply")
                .with_hint("Split it with a subquery.");
        }
    };
    let (said, place) = match message.rsplit_once(" at Line: ") {
        Some((said, place)) => (said, parse_place(place)),
        None => (message, None),
    };
    let place = place.map_or(here, |at| Span::new(at, Location::new(at.line, at.column + 1)));
    let place = if place.start.line == 0 { start } else { place };
    let expected = said.strip_prefix("Expected").map(|rest| rest.trim_start_matches([':', ' ']));
    let mut out = match expected.and_then(|rest| rest.split_once(", found: ")) {
        Some((wanted, "EOF")) => SqlDiagnostic::encountered(place, "<EOF>", wanted),
        Some((wanted, found)) => SqlDiagnostic::encountered(place, found, wanted),
        None => SqlDiagnostic::new(place, said),
    };
    if said.contains("found: ") && is_reserved_found(said) {
        out = out.with_hint("Reserved words used as names need backticks.");
    }
    out
}

fn is_reserved_found(said: &str) -> bool {
    let found = said.rsplit_once("found: ").map_or("", |(_, found)| found);
    matches!(Token::make_word(found, None), Token::Word(word) if word.keyword != Keyword::NoKeyword)
}

fn parse_place(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
