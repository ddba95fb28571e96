//! How deep a statement's tree may become, told by its tokens before there is a tree.
//!
//! ```text
//!   a + (b AND NOT c, d) * e      each token that may stand above others counts where it stands; a comma begins
//!     1 (1     2          ) 1     anew, as what it parts stands side by side; what a parenthesis closes counts
//!   = 1 + 2 + 1 + 1 (the pair) = 5      as deep as the deepest of its parts; CASE and END are such a pair, and
//!                                       WHEN, THEN and ELSE such commas
//! ```
//! Trees are walked and dropped recursively, so the limit is one of the stack. Lists, however long, are no depth.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

/// Deepest tree that a statement may make: it is dropped on any thread, by a call for each level.
const DEFAULT_MAX_DEPTH: usize = 2_000;

/// The depth so far.
#[derive(Debug)]
pub(super) struct Depth {
    /// The parts that are open, the innermost last; never empty.
    open: Vec<Part>,
    /// What all of them have here.
    total: usize,
}

#[derive(Debug, Default)]
struct Part {
    here: usize,
    deepest: usize,
}

impl Depth {
    /// Of a statement that begins.
    pub(super) fn new() -> Self {
        Self { open: vec![Part::default()], total: 0 }
    }

    /// Takes the next token; whether the tree may still be walked.
    pub(super) fn take(&mut self, token: &Token) -> bool {
        match token {
            Token::LParen | Token::LBracket => self.open.push(Part::default()),
            Token::RParen | Token::RBracket => self.close(),
            Token::Comma => self.part(),
            Token::Number(..) | Token::SingleQuotedString(_) => {}
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::CASE => self.open.push(Part::default()),
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.part(),
                Keyword::END => self.close(),
                _ => self.add(1),
            },
            _ => self.add(1),
        }
        self.total + self.open.len() <= DEFAULT_MAX_DEPTH
    }

    fn innermost(&mut self) -> &mut Part {
        self.open.last_mut().expect("a statement is open")
    }

    fn add(&mut self, levels: usize) {
        self.innermost().here += levels;
        self.total += levels;
    }

    /// What follows stands beside what came.
    fn part(&mut self) {
        let here = std::mem::take(&mut self.innermost().here);
        self.total -= here;
        let part = self.innermost();
        part.deepest = part.deepest.max(here);
    }

    /// One that nothing opened is the grammar's to refuse.
    fn close(&mut self) {
        if self.open.len() > 1
            && let Some(closed) = self.open.pop()
        {
            self.total -= closed.here;
            self.add(closed.here.max(closed.deepest) + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sqlparser::tokenizer::Tokenizer;

    use super::super::dialect::FlinkDialect;
    use super::*;

    /// Whether a text fits, and the depth at its end.
    fn of(text: &str) -> (bool, usize) {
        let mut depth = Depth::new();
        let tokens = Tokenizer::new(&FlinkDialect, text).tokenize().unwrap();
        let fits = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).all(|token| depth.take(token));
        (fits, depth.total)
    }

    #[test]
    fn operators_count_and_lists_do_not() {
        assert_eq!(of("a + (b AND NOT c, d) * e").1, 5);
        assert_eq!(of("a, b + c, d").1, 0);
        let many = |one: &str, between: &str| vec![one; 20_000].join(between);
        assert!(of(&format!("SELECT a IN ({})", many("-1", ","))).0);
        assert!(of(&format!("VALUES {}", many("(1, 'x')", ","))).0);
        assert!(of(&format!("SELECT CASE {} ELSE 0 END", many("WHEN a = 1 THEN 2", " "))).0);
        assert!(!of(&format!("SELECT {}", many("a", "+"))).0);
        assert!(!of(&format!("SELECT {}", many("CASE WHEN a = 1 THEN 2 ELSE", " "))).0);
        assert!(!of(&"(".repeat(20_000)).0 && !of(&"NOT ".repeat(20_000)).0);
        assert!(!of(&format!("SELECT {}1{}", "(".repeat(100), format!("{})", "+1".repeat(100)).repeat(100))).0);
        assert!(of("))) , ) a").0);
    }
}
