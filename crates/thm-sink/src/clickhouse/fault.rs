//! What went wrong at the server, to the error kind that decides what the worker does.
//!
//! ```text
//!  no answer, time-out, 503, 429, overload codes ─▶ SinkUnreachable  try again
//!  wrong password, missing right ─────────────────▶ SinkDenied       stop, operator
//!  table, column, setting unknown; anything else ─▶ SinkMismatch     stop, operator
//!  a value it cannot read ────────────────────────▶ Fault::Data      find the record (see bisect)
//! ```

use thm_api::{Error, ErrorKind};

use super::transport::TransportError;

/// Longest part of the server's text that goes into an error.
const MAX_TEXT_BYTES: usize = 600;

/// A refused request.
#[derive(Debug)]
pub enum Fault {
    /// Final: the worker decides by its kind.
    Error(Error),
    /// The server could not take a value of the data; which record, is not said.
    Data(ServerText),
    /// It named a session that the server does not know (any more): nothing was done.
    NoSession(Error),
    /// It named a setting that the server does not know: nothing was done.
    UnknownSetting(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Error(error) | Fault::NoSession(error) | Fault::UnknownSetting(error) => error,
            Fault::Data(text) => Self::new(ErrorKind::SinkMismatch, "writing to ClickHouse", text.0),
        }
    }
}

/// What the server said, shortened and on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerText(pub String);

impl ServerText {
    fn new(body: &str) -> Self {
        let mut text = body.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.len() > MAX_TEXT_BYTES {
            let end = (0..=MAX_TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        Self(text)
    }
}

/// What a server's exception code means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Passing,
    Denied,
    Mismatch,
    Data,
}

const UNKNOWN_SETTING: u32 = 115;
const SESSION_NOT_FOUND: u32 = 372;

/// Codes of `src/Common/ErrorCodes.cpp` that are not simply a mismatch.
const fn class_of(code: u32) -> Option<Class> {
    match code {
        // READONLY, UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, ACCESS_DENIED, AUTHENTICATION_FAILED
        164 | 192 | 193 | 194 | 195 | 497 | 516 => Some(Class::Denied),
        // UNEXPECTED_END_OF_FILE, CANNOT_READ_ALL_DATA: our body did not arrive whole
        3 | 33
        // TIMEOUT_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION, SOCKET_TIMEOUT, NETWORK_ERROR
        | 159 | 202 | 203 | 209 | 210
        // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: an earlier attempt is still at it
        | 216
        // TABLE_IS_DROPPED is final, but these pass: ABORTED, MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE
        | 236 | 241 | 242 | 243
        // TOO_MANY_PARTS, TOO_FEW_LIVE_REPLICAS, UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, UNKNOWN_STATUS_OF_INSERT
        | 252 | 285 | 286 | 319
        // SESSION_IS_LOCKED: an earlier delete is still at it
        | 373
        // TIMEOUT of a synchronous mutation, QUERY_WAS_CANCELLED, CANNOT_SCHEDULE_TASK, SERVER_OVERLOADED, KEEPER_EXCEPTION
        | 341 | 394 | 439 | 745 | 999
        // POCO_EXCEPTION, STD_EXCEPTION: sockets and files below the server
        | 1000 | 1001 => Some(Class::Passing),
        // parse, conversion and range errors of values; VIOLATED_CONSTRAINT; unknown enum element
        6 | 26 | 27 | 38 | 41 | 53 | 69 | 70 | 72 | 131 | 321 | 349 | 376 | 407 | 441 | 467 | 469 | 675 | 676 | 691 => {
            Some(Class::Data)
        }
        _ => None,
    }
}

/// Classifies an answer that is not a success. `code` is the header `X-ClickHouse-Exception-Code`, if there was one.
#[must_use]
pub fn of_answer(doing: &'static str, object: &str, status: u16, code: Option<u32>, body: &str) -> Fault {
    let text = ServerText::new(body);
    let code = code.or_else(|| code_in(body));
    let class = code.map(|code| class_of(code).unwrap_or(Class::Mismatch)).unwrap_or(match status {
        401 | 403 => Class::Denied,
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Class::Passing,
        _ => Class::Mismatch,
    });
    let error = |kind| Error::new(kind, doing, object).with_source(Answer { status, text: text.0.clone() });
    match (code, class) {
        (Some(SESSION_NOT_FOUND), _) => return Fault::NoSession(error(ErrorKind::SinkUnreachable)),
        (Some(UNKNOWN_SETTING), _) => return Fault::UnknownSetting(error(ErrorKind::SinkMismatch)),
        _ => {}
    }
    match class {
        Class::Data => Fault::Data(text),
        Class::Passing => Fault::Error(error(ErrorKind::SinkUnreachable)),
        Class::Denied => Fault::Error(error(ErrorKind::SinkDenied)),
        Class::Mismatch => Fault::Error(error(ErrorKind::SinkMismatch)),
    }
}

/// `Code: 241. DB::Exception: …`
fn code_in(body: &str) -> Option<u32> {
    body.trim_start().strip_prefix("Code: ")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A failure below HTTP: worth another attempt, unless the two sides do not agree on TLS.
#[must_use]
pub(super) fn of_transport(doing: &'static str, object: &str, error: TransportError) -> Error {
    thm_tls::unreached(doing, object, "HTTPS has 8443; HTTP has 8123, and ssl=false.", error)
}

#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {text}")]
struct Answer {
    status: u16,
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: Option<u32>, body: &str) -> Option<ErrorKind> {
        match of_answer("writing", "ch:8123", status, code, body) {
            Fault::Error(error) | Fault::NoSession(error) | Fault::UnknownSetting(error) => Some(error.kind()),
            Fault::Data(_) => None,
        }
    }

    #[test]
    fn the_code_decides_and_the_status_where_there_is_none() {
        for code in [252, 241, 216, 202, 159] {
            assert_eq!(kind(500, Some(code), ""), Some(ErrorKind::SinkUnreachable), "{code}");
        }
        for status in [503, 429, 502, 504] {
            assert_eq!(kind(status, None, "upstream"), Some(ErrorKind::SinkUnreachable), "{status}");
        }
        assert_eq!(kind(403, Some(516), ""), Some(ErrorKind::SinkDenied));
        assert_eq!(kind(401, None, ""), Some(ErrorKind::SinkDenied));
        assert_eq!(kind(404, Some(60), ""), Some(ErrorKind::SinkMismatch));
        assert_eq!(kind(500, Some(16), ""), Some(ErrorKind::SinkMismatch));
        assert_eq!(kind(500, None, "Code: 252. DB::Exception: Too many parts"), Some(ErrorKind::SinkUnreachable));
        assert_eq!(kind(400, Some(41), "Code: 41."), None);
    }

    #[test]
    fn the_text_is_short_and_on_one_line() {
        let text = ServerText::new(&format!("a\n b {}", "é".repeat(MAX_TEXT_BYTES)));
        assert!(text.0.starts_with("a b é") && text.0.len() <= MAX_TEXT_BYTES);
    }
}
