//! What an answer, or its absence, means for the record that was posted.
//!
//! | answer | meaning |
//! |---|---|
//! | 2xx | delivered |
//! | none, broken, too late; 408, 425, 429, 5xx | try again, not before what Retry-After says |
//! | 401, 403, 407 | our credentials: an operator must act |
//! | none, because a certificate is not believed | an operator must act |
//! | other 3xx and 4xx | the record is refused |

use std::time::Duration;

use reqwest::StatusCode;

use super::response::Reply;

/// Of a refusal's body so much goes into the reason.
const MAX_REASON_BYTES: usize = 300;
/// A longer Retry-After is taken for a mistake.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// What became of one request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The target has it.
    Delivered,
    /// Try again, not before this time has passed.
    Later { reason: String, after: Option<Duration> },
    /// An operator must act.
    Denied { reason: String },
    /// The two sides do not agree on TLS: an operator must act.
    Distrusted { reason: String },
    /// It is refused for itself.
    Refused { reason: String },
}

impl Answer {
    /// Of a request that was answered.
    pub fn of(reply: &Reply) -> Self {
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_success() {
            return Self::Delivered;
        }
        let start = &reply.body[..reply.body.len().min(MAX_REASON_BYTES)];
        let reason = match String::from_utf8_lossy(start).trim() {
            "" => format!("answered {status}"),
            body => format!("answered {status}: {body}"),
        };
        let after = || reply.retry_after.as_deref().and_then(|text| retry_after(text, chrono::Utc::now()));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Self::Denied { reason }
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Self::Later { reason, after: after() }
            }
            status if status.is_server_error() => Self::Later { reason, after: after() },
            _ => Self::Refused { reason },
        }
    }

    /// Of a request without an answer.
    pub fn missing(error: &std::io::Error) -> Self {
        let reason = error.to_string();
        if thm_tls::is_refusal(error) { Self::Distrusted { reason } } else { Self::Later { reason, after: None } }
    }
}

/// Seconds, or a date.
fn retry_after(text: &str, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = chrono::DateTime::parse_from_rfc2822("Fri, 31 Dec 1999 23:59:49 GMT").unwrap().to_utc();
        let wait = |text: &str| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(10));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:00 GMT"), Some(0));
        assert_eq!(wait("999999999"), Some(3_600));
        assert_eq!(wait("soon"), None);
    }
}
