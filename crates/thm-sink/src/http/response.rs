//! HTTP/1.1 answers from bytes: what arrives in, one [`Reply`] out for each request, in order. No I/O.
//!
//! ```text
//!   bytes ──▶ head (httparse) ──▶ body by length, by chunks, or to the end of the connection ──▶ Reply
//! ```
//! Invariant: a reply is given once its last byte is there, so the bytes left over begin the next one.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Most header fields of an answer; servers send about ten.
const MAX_HEADERS: usize = 64;
/// Longest head: what servers themselves accept at most.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// A body is read to its end so that the connection can be used again, unless it is longer than this.
const MAX_BODY_BYTES: usize = 64 << 10;

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status code.
    pub status: u16,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The body as it was sent, without the framing of chunks.
    pub body: Bytes,
    /// No other answer follows on this connection.
    pub is_last: bool,
}

/// Why bytes are no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum BadReply {
    /// Not HTTP/1.
    #[error("the answer is no HTTP: {0}")]
    NotHttp(String),
    /// The head does not end.
    #[error("the answer's head is longer than {0} bytes")]
    TooLong(usize),
    /// The connection ended in the middle.
    #[error("the connection was closed {0}")]
    Closed(&'static str),
}

impl From<BadReply> for io::Error {
    fn from(bad: BadReply) -> Self {
        let kind = match bad {
            BadReply::Closed(_) => io::ErrorKind::UnexpectedEof,
            BadReply::NotHttp(_) | BadReply::TooLong(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, bad)
    }
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunks,
    Close,
}

/// Takes the next answer off `input`, if it is there whole; `ended` says that no more bytes will come.
pub(super) fn next_reply(input: &mut BytesMut, ended: bool) -> Result<Option<Reply>, BadReply> {
    loop {
        let Some((mut reply, framing, head_bytes)) = head(input)? else {
            return match (ended, input.is_empty()) {
                (true, true) => Err(BadReply::Closed("without an answer")),
                (true, false) => Err(BadReply::Closed("in the middle of an answer")),
                (false, _) => Ok(None),
            };
        };
        match body(&input[head_bytes..], &framing, ended)? {
            Body::Whole(body, bytes) => {
                reply.body = body;
                input.advance(head_bytes + bytes);
            }
            // The status says enough, and to read on costs more than another connection.
            Body::TooLong => {
                reply.is_last = true;
                reply.body = Bytes::copy_from_slice(&input[head_bytes..]);
                input.clear();
            }
            Body::Part if ended => return Err(BadReply::Closed("in the middle of an answer")),
            Body::Part => return Ok(None),
        }
        // "100 Continue" and its like come before the answer.
        if !(100..200).contains(&reply.status) {
            return Ok(Some(reply));
        }
    }
}

/// The head at the beginning of `input`, and its length in bytes.
fn head(input: &[u8]) -> Result<Option<(Reply, Framing, usize)>, BadReply> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    let bytes = match response.parse(input).map_err(|error| BadReply::NotHttp(error.to_string()))? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial if input.len() > MAX_HEAD_BYTES => return Err(BadReply::TooLong(MAX_HEAD_BYTES)),
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or_default();
    let mut reply = Reply { status, is_last: response.version == Some(0), ..Reply::default() };
    let has_no_body = status < 200 || status == 204 || status == 304;
    let mut framing = if has_no_body { Framing::Length(0) } else { Framing::Close };
    for field in response.headers.iter() {
        let value = String::from_utf8_lossy(field.value);
        let names = |wanted: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted));
        if field.name.eq_ignore_ascii_case("connection") {
            reply.is_last = names("close") || (reply.is_last && !names("keep-alive"));
        } else if field.name.eq_ignore_ascii_case("retry-after") {
            reply.retry_after = Some(value.trim().to_owned());
        } else if has_no_body || matches!(framing, Framing::Chunks) {
            // Chunks win over a length, as RFC 9112 6.3 has it.
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = if names("chunked") { Framing::Chunks } else { Framing::Close };
        } else if field.name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse::<usize>();
            framing = Framing::Length(length.map_err(|_| BadReply::NotHttp(format!("its length is {value}")))?);
        }
    }
    reply.is_last |= matches!(framing, Framing::Close);
    Ok(Some((reply, framing, bytes)))
}

/// What of a body is there.
enum Body {
    Part,
    /// With how many bytes it takes.
    Whole(Bytes, usize),
    TooLong,
}

fn body(rest: &[u8], framing: &Framing, ended: bool) -> Result<Body, BadReply> {
    let found = match framing {
        Framing::Length(length) if *length > MAX_BODY_BYTES => Body::TooLong,
        Framing::Length(length) => match rest.get(..*length) {
            Some(body) => Body::Whole(Bytes::copy_from_slice(body), *length),
            None => Body::Part,
        },
        Framing::Close if ended => Body::Whole(Bytes::copy_from_slice(rest), rest.len()),
        Framing::Close => Body::Part,
        Framing::Chunks => chunks(rest)?,
    };
    Ok(if matches!(found, Body::Part) && rest.len() > MAX_BODY_BYTES { Body::TooLong } else { found })
}

/// The body of all chunks, once the last one and the trailer are there.
fn chunks(rest: &[u8]) -> Result<Body, BadReply> {
    let bad = |what: &str| BadReply::NotHttp(what.to_owned());
    let (mut body, mut at) = (BytesMut::new(), 0);
    loop {
        let size = httparse::parse_chunk_size(&rest[at..]).map_err(|_| bad("a chunk has no size"))?;
        let httparse::Status::Complete((head, length)) = size else { return Ok(Body::Part) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_BODY_BYTES {
            return Ok(Body::TooLong);
        }
        at += head;
        if length == 0 {
            let end = trailer(&rest[at..])?;
            return Ok(end.map_or(Body::Part, |bytes| Body::Whole(body.freeze(), at + bytes)));
        }
        let Some(chunk) = rest.get(at..at + length + 2) else { return Ok(Body::Part) };
        if !chunk.ends_with(b"\r\n") {
            return Err(bad("a chunk has no end"));
        }
        body.extend_from_slice(&chunk[..length]);
        at += length + 2;
    }
}

/// Length of the fields behind the last chunk, with the empty line.
fn trailer(rest: &[u8]) -> Result<Option<usize>, BadReply> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(rest, &mut fields) {
        Ok(httparse::Status::Complete((bytes, _))) => Ok(Some(bytes)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(BadReply::NotHttp(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const SEVERAL: &str = "HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\
        HTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 429 Slow\r\nRetry-After:  7 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nt: 1\r\n\r\n\
        HTTP/1.0 500 No\r\n\r\nto the end";

    fn all(input: &mut BytesMut, ended: bool) -> Result<Vec<Reply>, BadReply> {
        let mut replies = Vec::new();
        while !input.is_empty() {
            let Some(reply) = next_reply(input, ended)? else { break };
            replies.push(reply);
        }
        Ok(replies)
    }

    fn reply(status: u16, body: &'static str, is_last: bool) -> Reply {
        Reply { status, retry_after: None, body: Bytes::from_static(body.as_bytes()), is_last }
    }

    #[test]
    fn answers_come_apart_however_the_bytes_arrive() {
        let limited = Reply { retry_after: Some("7".to_owned()), ..reply(429, "abcd", false) };
        let expected = [reply(200, "ok", false), reply(204, "", false), limited, reply(500, "to the end", true)];
        assert_eq!(all(&mut BytesMut::from(SEVERAL), true).unwrap(), expected);
        let (mut input, mut replies) = (BytesMut::new(), Vec::new());
        for byte in SEVERAL.bytes() {
            input.extend_from_slice(&[byte]);
            replies.extend(all(&mut input, false).unwrap());
        }
        replies.extend(all(&mut input, true).unwrap());
        assert_eq!(replies, expected);
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let error = |text: &str| next_reply(&mut BytesMut::from(text), true).unwrap_err().to_string();
        assert_eq!(error(""), "the connection was closed without an answer");
        assert_eq!(
            error("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"),
            "the connection was closed in the middle of an answer"
        );
        assert!(error("SSH-2.0-OpenSSH_9.2\r\n").starts_with("the answer is no HTTP"));
        assert!(error("HTTP/1.1 200 OK\r\ncontent-length: minus\r\n\r\n").contains("its length is minus"));
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
        assert_eq!(next_reply(&mut BytesMut::from(long), false).unwrap().unwrap(), reply(200, "", true));
        let close = "HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert!(next_reply(&mut BytesMut::from(close), false).unwrap().unwrap().is_last);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0..SEVERAL.len()) {
            let _ = all(&mut BytesMut::from(&bytes[..]), true);
            let _ = all(&mut BytesMut::from([&SEVERAL.as_bytes()[..cut], &bytes[..]].concat().as_slice()), true);
        }
    }
}
