//! `VALUES 1, 2` → `VALUES (1), (2)`: a row of one value may stand without parentheses, which sqlparser wants.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::is_word;

/// Words behind the last row.
const ENDS: &[&str] = &["UNION", "INTERSECT", "EXCEPT", "MINUS", "ORDER", "LIMIT", "OFFSET", "FETCH", "AS", "END"];

/// The tokens with parentheses around such rows.
pub(super) fn rows(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let bare = |at: usize| {
        is_word(&tokens[at].token, "VALUES") && tokens.get(at + 1).is_some_and(|next| next.token != Token::LParen)
    };
    if !(0..tokens.len()).any(bare) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 8);
    let mut at = 0;
    while at < tokens.len() {
        out.push(tokens[at].clone());
        at += 1;
        if !bare(at - 1) {
            continue;
        }
        loop {
            let end = element_end(&tokens, at);
            let row = is_word(&tokens.get(at).map_or(Token::EOF, |first| first.token.clone()), "ROW");
            let element = &tokens[at..end];
            if element.is_empty() || row {
                out.extend_from_slice(element);
            } else {
                let (first, last) = (element[0].span, element[element.len() - 1].span);
                out.push(TokenWithSpan::new(Token::LParen, first));
                out.extend_from_slice(element);
                out.push(TokenWithSpan::new(Token::RParen, last));
            }
            at = end;
            match tokens.get(at) {
                Some(comma) if comma.token == Token::Comma => out.push(comma.clone()),
                _ => break,
            }
            at += 1;
        }
    }
    out
}

/// `ANY (1, 2)` → `ANY ((1, 2))`: behind a comparison a list may stand where sqlparser wants one value.
pub(super) fn quantified(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |at: usize, words: &[&str]| {
        tokens.get(at).is_some_and(|token| words.iter().any(|word| is_word(&token.token, word)))
    };
    let opens = |at: usize| {
        let compares = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| {
            matches!(before.token, Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq)
        });
        let list = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
        is(at, &["ANY", "SOME", "ALL"]) && compares && list && !is(at + 2, &["SELECT", "VALUES", "WITH"])
    };
    if !(0..tokens.len()).any(opens) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 8);
    // How many parentheses are open where a list was opened twice.
    let (mut depth, mut doubled) = (0_usize, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => {
                depth += 1;
                if at.checked_sub(1).is_some_and(opens) {
                    doubled.push(depth);
                    out.push(token.clone());
                }
            }
            Token::RParen => {
                if doubled.last() == Some(&depth) {
                    doubled.pop();
                    out.push(token.clone());
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        out.push(token.clone());
    }
    out
}

/// Where the row that begins here ends.
fn element_end(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return at,
            Token::RParen | Token::RBracket => depth -= 1,
            Token::Comma | Token::SemiColon | Token::EOF if depth == 0 => return at,
            word if depth == 0 && ENDS.iter().any(|end| is_word(word, end)) => return at,
            _ => {}
        }
    }
    tokens.len()
}
