//! Frames of the server's side of the protocol: bytes in, message or typed error out. No I/O.
//!
//! ```text
//!   frame    = tag u8 │ length i32, itself included │ body
//!   CopyData = 'd' frame whose body is one of
//!     'w' start u64 │ wal end u64 │ clock i64 │ pgoutput's message        a piece of the stream
//!     'k' wal end u64 │ clock i64 │ reply wanted u8                       a keepalive
//!   'r' written u64 │ flushed u64 │ applied u64 │ clock i64 │ reply u8    our answer, in a CopyData of its own
//! ```
//!
//! Invariants: a frame is given only when all of it is there; a length that no server sends is an error as soon as it
//! is read, so that nothing is reserved for it.

use std::ops::Range;

/// Bytes before a frame's body.
pub const HEAD_BYTES: usize = 5;
/// No message of PostgreSQL is longer: it builds them in memory of at most 1 GiB.
pub const DEFAULT_MAX_BODY_BYTES: usize = 1 << 30;
/// Before the stream begins messages are short. Whoever answers with more is no PostgreSQL server.
pub const DEFAULT_MAX_GREETING_BYTES: usize = 1 << 20;
/// A body length that is wrong shows what was read for one.
const LENGTH_FIELD_BYTES: usize = 4;
const XLOG_HEAD_BYTES: usize = 25;
const KEEPALIVE_BYTES: usize = 18;

/// The bytes are not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length below its own field's or beyond the limit.
    #[error("a message of type {tag:#04x} claims {length} bytes; is this a PostgreSQL server?")]
    Length {
        /// Its tag.
        tag: u8,
        /// What stands in its length field.
        length: u32,
    },
    /// A body that ends too early.
    #[error("a message of type {0:#04x} ends too early")]
    Truncated(u8),
    /// A message that does not belong here.
    #[error("a message of type {0:#04x} is out of place")]
    Unexpected(u8),
}

/// Where a frame lies in the bytes it was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub tag: u8,
    /// Where its body stands.
    pub body: Range<usize>,
}

/// The frame at the front of `bytes`; `None` until all of it is there.
#[inline]
pub fn split(bytes: &[u8], max_body_bytes: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    let body = (length as usize).checked_sub(LENGTH_FIELD_BYTES).filter(|body| *body <= max_body_bytes);
    let end = HEAD_BYTES + body.ok_or(FrameError::Length { tag, length })?;
    Ok((bytes.len() >= end).then_some(Frame { tag, body: HEAD_BYTES..end }))
}

/// What a CopyData of the replication stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMessage<'a> {
    /// A message of the output plugin.
    XLogData {
        /// Where its WAL record starts.
        start: u64,
        /// End of the server's WAL as it was sent.
        wal_end: u64,
        /// The plugin's bytes.
        data: &'a [u8],
    },
    /// The server lives, and has sent everything up to here.
    KeepAlive {
        /// Up to where.
        wal_end: u64,
        /// It wants to hear from us now.
        reply: bool,
    },
}

impl<'a> StreamMessage<'a> {
    /// Reads the body of a CopyData.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        match body {
            [b'w', rest @ ..] if body.len() >= XLOG_HEAD_BYTES => {
                let data = &body[XLOG_HEAD_BYTES..];
                Ok(Self::XLogData { start: u64_at(rest, 0), wal_end: u64_at(rest, 8), data })
            }
            [b'k', rest @ .., reply] if body.len() == KEEPALIVE_BYTES => {
                Ok(Self::KeepAlive { wal_end: u64_at(rest, 0), reply: *reply != 0 })
            }
            [tag @ (b'w' | b'k'), ..] => Err(FrameError::Truncated(*tag)),
            [tag, ..] => Err(FrameError::Unexpected(*tag)),
            [] => Err(FrameError::Truncated(b'd')),
        }
    }
}

/// Big-endian, from 8 bytes that are there.
#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// How far we are, as the server wants to hear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandbyStatus {
    /// Received up to here.
    pub written: u64,
    /// Durable up to here: the slot goes on from it. Zero says nothing.
    pub flushed: u64,
    /// Our clock, microseconds since 2000.
    pub clock_us: i64,
}

/// Length of a status with its frame.
pub const STATUS_BYTES: usize = HEAD_BYTES + 34;

impl StandbyStatus {
    /// The whole CopyData frame.
    #[must_use]
    pub fn encode(self) -> [u8; STATUS_BYTES] {
        let mut out = [0; STATUS_BYTES];
        out[0] = b'd';
        out[1..5].copy_from_slice(&((STATUS_BYTES - 1) as u32).to_be_bytes());
        out[5] = b'r';
        out[6..14].copy_from_slice(&self.written.to_be_bytes());
        out[14..22].copy_from_slice(&self.flushed.to_be_bytes());
        out[22..30].copy_from_slice(&self.flushed.to_be_bytes());
        out[30..38].copy_from_slice(&self.clock_us.to_be_bytes());
        out
    }
}

/// What the server reports instead of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{severity}: {message} (SQLSTATE {code})")]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// SQLSTATE.
    pub code: String,
    /// What happened.
    pub message: String,
    /// More of it, if the server says more.
    pub detail: Option<String>,
}

impl ServerError {
    /// Reads an ErrorResponse: fields of a letter and a text, each ended by a zero byte.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((letter, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match letter {
                b'S' if error.severity.is_empty() => error.severity = text,
                // The same, never translated.
                b'V' => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                _ => {}
            }
        }
        error
    }
}

/// The values of a DataRow as text; NULL is `None`.
pub fn row_texts(body: &[u8]) -> Result<Vec<Option<String>>, FrameError> {
    let short = FrameError::Truncated(b'D');
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or(short)?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(short)?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            rest = after;
            continue;
        };
        let (value, after) = after.split_at_checked(length).ok_or(short)?;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = after;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend((body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(Some(frame)) = split(&bytes, 64) {
                prop_assert!(frame.body.end <= bytes.len() && frame.body.len() <= 64);
            }
            let _ = StreamMessage::parse(&bytes);
            let _ = row_texts(&bytes);
            let _ = ServerError::parse(&bytes);
        }

        /// Bodies that begin as the protocol's do reach the code behind the tag, which pure noise rarely does.
        #[test]
        fn stream_messages_of_any_length(
            tag in prop::sample::select(&b"wk"[..]),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut body = vec![tag];
            body.extend(&rest);
            let read = StreamMessage::parse(&body);
            match tag {
                b'w' => prop_assert_eq!(read.is_ok(), rest.len() >= 24),
                _ => prop_assert_eq!(read.is_ok(), rest.len() == 17),
            }
        }

        #[test]
        fn lengths_that_no_server_sends_are_refused_at_once(tag in any::<u8>(), length in any::<u32>()) {
            let mut bytes = vec![tag];
            bytes.extend(length.to_be_bytes());
            let legal = (4..=4 + 1000).contains(&length);
            prop_assert_eq!(split(&bytes, 1000).is_ok(), legal);
        }
    }

    #[test]
    fn a_frame_is_given_when_its_last_byte_is_there() {
        let bytes = framed(b'd', b"kAAAAAAAABBBBBBBB\x01");
        for end in 0..bytes.len() {
            assert_eq!(split(&bytes[..end], 100), Ok(None));
        }
        let frame = split(&bytes, 100).unwrap().unwrap();
        let message = StreamMessage::parse(&bytes[frame.body]).unwrap();
        assert_eq!(message, StreamMessage::KeepAlive { wal_end: 0x4141_4141_4141_4141, reply: true });
        assert_eq!(split(b"HTTP/1.1 400", 1 << 20), Err(FrameError::Length { tag: b'H', length: 0x5454_502f }));
    }

    #[test]
    fn a_status_is_a_frame_of_its_own() {
        let status = StandbyStatus { written: 3, flushed: 2, clock_us: 1 }.encode();
        let frame = split(&status, 100).unwrap().unwrap();
        assert_eq!((frame.tag, frame.body.len()), (b'd', 34));
        assert_eq!((status[13], status[21], status[29], status[37], status[38]), (3, 2, 2, 1, 0));
    }

    #[test]
    fn errors_and_rows() {
        let body = b"SFEHLER\0VFATAL\0C28P01\0Mno\0Dreally\0Hask\0\0";
        let error = ServerError::parse(body);
        assert_eq!(error.to_string(), "FATAL: no (SQLSTATE 28P01)");
        assert_eq!(error.detail.as_deref(), Some("really"));
        let row = [0, 2, 0, 0, 0, 1, b'x', 255, 255, 255, 255];
        assert_eq!(row_texts(&row).unwrap(), [Some("x".to_owned()), None]);
        assert!(row_texts(&row[..10]).is_err());
    }
}
