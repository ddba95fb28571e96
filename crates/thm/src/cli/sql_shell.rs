//! `thm sql` without a file: statements are read up to a semicolon, run, and shown.
//!
//! ```text
//!   terminal ─▶ line editor (history file, completion, several lines) ─┐
//!   pipe ─▶ lines ─────────────────────────────────────────────────────┴─▶ statement ─▶ rows │ Ctrl-C cancels
//! ```
//! An error ends its statement, not the shell; Ctrl-C at the prompt empties the line, Ctrl-D or `QUIT` leaves. Jobs of
//! INSERTs are planned and not kept: the same INSERT, corrected, is the same job.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};
use thm_api::ExitCode;
use thm_sql::CompileContext;
use thm_sql::parser::{parse_script, reserved};
use thm_sql::planner::{Outcome, Session};

use super::output::{line, note};
use super::sql::{Asking, statements};

/// Statements that are remembered: more than anybody scrolls through.
const DEFAULT_HISTORY_LENGTH: usize = 1_000;
/// Where they are, in the home folder.
const HISTORY_FILE: &str = ".thm-sql-history";
/// What the shell itself understands.
const HELP: &str = "\
QUIT or EXIT     leaves (also Ctrl-D)
CLEAR            clears the screen
SET 'sql-client.execution.result-mode' = 'table' | 'changelog' | 'tableau';   final rows, each change, as Flink's client
Statements end with a semicolon and may have several lines. Tab completes words and tables, the arrows bring
statements back, Ctrl-C ends a query and shows its rows so far. INSERT shows that it can be planned; to run it, put it into a
file with its tables: thm job submit FILE.";
/// Words that need no semicolon when they stand alone.
const COMMANDS: [&str; 4] = ["QUIT", "EXIT", "HELP", "CLEAR"];
/// How long a cancelled query may take to show what it has.
const DEFAULT_CANCEL_PAUSE: Duration = Duration::from_secs(2);

/// Runs until the input ends.
pub async fn run(context: CompileContext, asking: &Asking) -> Result<ExitCode> {
    let mut session = Session::new(context);
    if !std::io::stdin().is_terminal() {
        return piped(&mut session, asking).await;
    }
    note("Flink SQL on what the topics hold now. End statements with a semicolon; HELP says more.");
    let config = Config::builder().max_history_size(DEFAULT_HISTORY_LENGTH)?.auto_add_history(true).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config)?;
    let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HISTORY_FILE));
    if let Some(history) = &history {
        let _ = editor.load_history(history);
    }
    loop {
        editor.set_helper(Some(Words::of(&mut session)));
        match editor.readline("thm SQL> ") {
            Ok(text) => {
                // A history that cannot be written costs nobody anything.
                if let Some(history) = &history {
                    let _ = editor.append_history(history);
                }
                if one(&mut session, &text, asking).await.is_none() {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ExitCode::Ok)
}

/// Statements of a script: it goes on behind one that failed, and ends with the code of the first that did.
async fn piped(session: &mut Session, asking: &Asking) -> Result<ExitCode> {
    let mut pending = String::new();
    let mut failed = ExitCode::Ok;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let read = lines.next().transpose()?;
        let over = read.is_none();
        pending.extend(read.iter().flat_map(|read| [read.as_str(), "\n"]));
        if over && pending.trim().is_empty() {
            return Ok(failed);
        }
        if !over && !ended(&pending) {
            continue;
        }
        match one(session, &std::mem::take(&mut pending), asking).await {
            Some(code) if failed == ExitCode::Ok => failed = code,
            Some(_) => {}
            None => return Ok(failed),
        }
    }
}

/// Runs what was entered and says how it went; nothing if it was to leave.
async fn one(session: &mut Session, text: &str, asking: &Asking) -> Option<ExitCode> {
    match text.trim().trim_end_matches(';').trim().to_ascii_uppercase().as_str() {
        "QUIT" | "EXIT" => return None,
        "HELP" => line(HELP),
        "CLEAR" => line("\u{1b}[H\u{1b}[2J"),
        _ => {
            session.forget_jobs();
            asking.cancelled.store(false, Ordering::Relaxed);
            let mut run = std::pin::pin!(statements(session, "shell", text, asking));
            let ended = tokio::select! {
                ended = &mut run => ended,
                _ = tokio::signal::ctrl_c() => {
                    asking.cancelled.store(true, Ordering::Relaxed);
                    tokio::time::timeout(DEFAULT_CANCEL_PAUSE, run).await.unwrap_or_else(|_| {
                        note("Query has been cancelled.");
                        Ok(ExitCode::Ok)
                    })
                }
            };
            if let Err(error) = ended {
                return Some(crate::show_error(error));
            }
        }
    }
    Some(ExitCode::Ok)
}

/// Whether the text ends with a semicolon that stands neither in quotes nor in a comment, or is a word of the shell's own.
fn ended(text: &str) -> bool {
    if COMMANDS.iter().any(|word| text.trim().eq_ignore_ascii_case(word)) {
        return true;
    }
    let (mut quote, mut comment, mut last) = (None, None, ' ');
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (quote, comment, letter) {
            (Some(open), _, _) => {
                if letter == open {
                    quote = None;
                }
                last = letter;
            }
            (_, Some('-'), '\n') => comment = None,
            (_, Some('*'), '*') if next == Some('/') => {
                letters.next();
                comment = None;
            }
            (_, Some(_), _) => {}
            (_, _, '-') if next == Some('-') => comment = Some('-'),
            (_, _, '/') if next == Some('*') => {
                letters.next();
                comment = Some('*');
            }
            _ => {
                if matches!(letter, '\'' | '`' | '"') {
                    quote = Some(letter);
                }
                if !letter.is_whitespace() {
                    last = letter;
                }
            }
        }
    }
    quote.is_none() && comment != Some('*') && last == ';'
}

/// Completes words of the language and names of tables.
struct Words(Vec<String>);

impl Words {
    fn of(session: &mut Session) -> Self {
        let mut words: Vec<String> = reserved::words().iter().map(|word| (*word).to_owned()).collect();
        words.extend(thm_sql::functions::all().map(|function| function.name.to_owned()));
        let shown = parse_script("SHOW TABLES").ok().and_then(|mut parsed| parsed.pop());
        if let Some(Ok(Outcome::Table(tables))) = shown.map(|shown| session.execute(&shown, None)) {
            words.extend(tables.rows.iter().filter_map(|row| row.first()?.as_str().map(str::to_owned)));
        }
        words.sort();
        words.dedup();
        Self(words)
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, text: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = text.get(..at).unwrap_or_default();
        let begin = before
            .rfind(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .map_or(0, |found| found + before[found..].chars().next().map_or(0, char::len_utf8));
        let begun = &before[begin..];
        if begun.is_empty() {
            return Ok((begin, Vec::new()));
        }
        let fits = |word: &&String| word.get(..begun.len()).is_some_and(|start| start.eq_ignore_ascii_case(begun));
        Ok((begin, self.0.iter().filter(fits).cloned().collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let whole = text.trim().is_empty() || ended(text);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::ended;

    #[test]
    fn a_semicolon_in_quotes_or_comments_ends_nothing() {
        for text in [
            ";",
            "SELECT 1;",
            "SELECT ';';\n",
            "quit",
            " Help\n",
            "SELECT 1; -- done;",
            "/* ; */ SELECT 1;",
            "SELECT 'it''s';",
        ] {
            assert!(ended(text), "{text}");
        }
        for text in ["help me", "SELECT 1", "SELECT 'a;", "SELECT 1 -- ;", "SELECT 1; /* ;", "SELECT `a;", "SELECT ';'"]
        {
            assert!(!ended(text), "{text}");
        }
    }
}
