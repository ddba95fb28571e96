//! Window functions of tables and MATCH_RECOGNIZE: beyond sqlparser's grammar and ours, so they are found among the tokens
//! and refused by name.

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::{Cursor, is_word};
use crate::error::{STATELESS_HINT, SqlDiagnostic, SqlResult};

const WINDOWS: [&str; 4] = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// One that a statement has.
#[derive(Debug)]
pub(super) struct Window {
    /// Where its statement begins.
    statement: Location,
    place: Span,
    word: String,
}

/// All that a script has, in their order.
pub(super) fn find(tokens: &[TokenWithSpan]) -> Vec<Window> {
    let mut found = Vec::new();
    let mut statement = None;
    for (at, TokenWithSpan { token, span }) in tokens.iter().enumerate() {
        if *token == Token::SemiColon {
            statement = None;
            continue;
        }
        let statement = *statement.get_or_insert(span.start);
        if let Some(word) = window(&tokens[at..]) {
            found.push(Window { statement, place: *span, word });
        }
    }
    found
}

/// `TABLE(TUMBLE(` or `MATCH_RECOGNIZE`.
fn window(tokens: &[TokenWithSpan]) -> Option<String> {
    let is = |at: usize, wanted: &Token| tokens.get(at).is_some_and(|token| token.token == *wanted);
    match tokens {
        [first, ..] if is_word(&first.token, "MATCH_RECOGNIZE") => Some("MATCH_RECOGNIZE".to_owned()),
        [first, _, third, ..] if is_word(&first.token, "TABLE") && is(1, &Token::LParen) && is(3, &Token::LParen) => {
            let word = WINDOWS.iter().find(|word| is_word(&third.token, word));
            word.map(|word| (*word).to_owned())
        }
        _ => None,
    }
}

/// Refuses the query that begins here if one stands in it.
pub(super) fn refuse(cursor: &Cursor) -> SqlResult<()> {
    let here = cursor.span().start;
    let within = |window: &&Window| window.statement <= here && here <= window.place.start;
    match cursor.windows.iter().find(within) {
        None => Ok(()),
        Some(Window { place, word, .. }) => {
            Err(SqlDiagnostic::new(*place, format!("window {word} keeps state, which is not supported yet"))
                .with_hint(STATELESS_HINT))
        }
    }
}
