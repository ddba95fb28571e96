//! From a connected socket to a session that takes commands.
//!
//! ```text
//!   startup ──▶ AuthenticationOk ───────────────────────────────────┐
//!      ├──▶ password in clear text, or its MD5 ──▶ AuthenticationOk ├──▶ parameters ──▶ ReadyForQuery
//!      └──▶ SASL: first ──▶ continue ──▶ final ──▶ AuthenticationOk ┘
//! ```
//!
//! With SCRAM the server proves that it knows the password, too: a final message that does not is refused.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use super::connection::Connection;
use super::frame::{DEFAULT_MAX_GREETING_BYTES, Frame, FrameError, ServerError};
use super::wire_error::WireError;

/// Who connects, and to what.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// User.
    pub user: &'a str,
    /// Password; empty for none.
    pub password: &'a str,
    /// Database.
    pub database: &'a str,
    /// Settings of the session, as command-line switches.
    pub settings: &'a str,
    /// For replication; else the session takes SQL alone.
    pub replication: bool,
}

/// Numbers of the authentication messages.
mod request {
    pub const OK: u32 = 0;
    pub const CLEAR_TEXT: u32 = 3;
    pub const MD5: u32 = 5;
    pub const SASL: u32 = 10;
    pub const SASL_CONTINUE: u32 = 11;
    pub const SASL_FINAL: u32 = 12;
}

/// Logs in; afterwards the session takes commands.
pub async fn log_in(connection: &mut Connection, login: Login<'_>) -> Result<(), WireError> {
    let mut out = BytesMut::new();
    let parameters = [
        ("user", login.user),
        ("database", login.database),
        ("replication", if login.replication { "database" } else { "false" }),
        ("client_encoding", "UTF8"),
        ("application_name", "thm source"),
        ("options", login.settings),
    ];
    frontend::startup_message(parameters, &mut out)?;
    let mut scram = None;
    loop {
        connection.send(&out.split()).await?;
        let frame = message(connection).await?;
        let body = connection.body(frame.body);
        match frame.tag {
            b'R' if authenticate(body, login, &mut scram, &mut out)? => break,
            b'R' => {}
            // Which versions and options of the protocol there are: ours is the oldest, without options.
            b'v' => {}
            tag => return Err(FrameError::Unexpected(tag).into()),
        }
    }
    until_ready(connection).await.map(drop)
}

/// Answers one request into `out`; true: we are in.
fn authenticate(
    body: &[u8],
    login: Login<'_>,
    scram: &mut Option<ScramSha256>,
    out: &mut BytesMut,
) -> Result<bool, WireError> {
    let (number, rest) = body.split_first_chunk::<4>().ok_or(FrameError::Truncated(b'R'))?;
    let password = login.password.as_bytes();
    let denied = |error: std::io::Error| WireError::Denied(format!("SCRAM: {error}"));
    match u32::from_be_bytes(*number) {
        request::OK => return Ok(true),
        request::CLEAR_TEXT => frontend::password_message(password, out)?,
        request::MD5 => {
            let salt = rest.first_chunk::<4>().ok_or(FrameError::Truncated(b'R'))?;
            frontend::password_message(md5_hash(login.user.as_bytes(), password, *salt).as_bytes(), out)?;
        }
        request::SASL => {
            if !rest.split(|byte| *byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
                let names = String::from_utf8_lossy(rest).replace('\0', " ");
                return Err(WireError::Denied(format!(
                    "the server asks for SASL by {}, not SCRAM-SHA-256",
                    names.trim()
                )));
            }
            let first = scram.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
            frontend::sasl_initial_response(SCRAM_SHA_256, first.message(), out)?;
        }
        request::SASL_CONTINUE => {
            let scram = scram.as_mut().ok_or(FrameError::Unexpected(b'R'))?;
            scram.update(rest).map_err(denied)?;
            frontend::sasl_response(scram.message(), out)?;
        }
        request::SASL_FINAL => {
            scram.as_mut().ok_or(FrameError::Unexpected(b'R'))?.finish(rest).map_err(denied)?;
        }
        other => {
            let name = match other {
                2 => "Kerberos",
                7..=9 => "GSSAPI or SSPI",
                _ => "an unknown method",
            };
            return Err(WireError::Denied(format!(
                "the server asks for {name}; trust, password, md5 and scram-sha-256 work"
            )));
        }
    }
    Ok(false)
}

/// Runs a command and gives the texts of its rows.
pub async fn command(connection: &mut Connection, sql: &str) -> Result<Vec<Vec<Option<String>>>, WireError> {
    send_command(connection, sql).await?;
    until_ready(connection).await
}

/// Sends a command without waiting for its answer.
pub async fn send_command(connection: &mut Connection, sql: &str) -> Result<(), WireError> {
    let mut out = BytesMut::new();
    frontend::query(sql, &mut out)?;
    Ok(connection.send(&out).await?)
}

/// Rows until the server takes the next command.
async fn until_ready(connection: &mut Connection) -> Result<Vec<Vec<Option<String>>>, WireError> {
    let mut rows = Vec::new();
    loop {
        let frame = message(connection).await?;
        match frame.tag {
            b'Z' => return Ok(rows),
            b'D' => rows.push(super::frame::row_texts(connection.body(frame.body))?),
            // What rows look like, that a command is done, the key to cancel it.
            b'T' | b'C' | b'K' => {}
            tag => return Err(FrameError::Unexpected(tag).into()),
        }
    }
}

/// The next message that is not beside the matter; an error of the server is one. Cancel-safe.
pub async fn message(connection: &mut Connection) -> Result<Frame, WireError> {
    loop {
        let Some(frame) = connection.frame(DEFAULT_MAX_GREETING_BYTES)? else {
            connection.fill().await?;
            continue;
        };
        match frame.tag {
            // Notices, parameters, notifications.
            b'N' | b'S' | b'A' => {}
            b'E' => return Err(ServerError::parse(connection.body(frame.body)).into()),
            _ => return Ok(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGIN: Login<'_> = Login { user: "u", password: "p", database: "d", settings: "", replication: true };

    fn answer(number: u32, rest: &[u8]) -> Result<bool, WireError> {
        let body = [&number.to_be_bytes(), rest].concat();
        authenticate(&body, LOGIN, &mut None, &mut BytesMut::new())
    }

    #[test]
    fn what_we_lack_is_refused_by_name() {
        let text = |answer: Result<bool, WireError>| answer.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(text(answer(7, b"")).contains("GSSAPI"));
        assert!(text(answer(2, b"")).contains("Kerberos"));
        assert!(text(answer(request::SASL, b"OAUTHBEARER\0\0")).contains("OAUTHBEARER"));
        assert!(matches!(answer(request::SASL_FINAL, b"v=x"), Err(WireError::Frame(_))), "a final without a first");
        assert!(matches!(answer(request::OK, b""), Ok(true)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(number in 0_u32..15, rest in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut scram = Some(ScramSha256::new(b"p", ChannelBinding::unsupported()));
            let body = [&number.to_be_bytes(), &rest[..]].concat();
            let _ = authenticate(&body, LOGIN, &mut scram, &mut BytesMut::new());
        }
    }
}
