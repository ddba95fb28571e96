//! What an answer, or its absence, means for the record that was posted.
//!
//! | answer | meaning |
//! |---|---|
//! | 2xx | delivered |
//! | none, broken, too late; 408, 425, 429, 5xx | try again, not before what Retry-After says |
//! | 401, 403, 407 | our credentials: an operator must act |
//! | other 3xx and 4xx | the record is refused |

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

/// Of a refusal's body so much goes into the reason.
const MAX_REASON_BYTES: usize = 300;
/// A body is read to its end so that the connection can be used again, unless it is longer than this.
const MAX_BODY_BYTES: usize = 64 << 10;
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
    /// It is refused for itself.
    Refused { reason: String },
}

impl Answer {
    /// Of a request that got an answer, or none.
    pub async fn of(result: reqwest::Result<Response>) -> Self {
        match result {
            Ok(response) => Self::of_response(response).await,
            // The URL may hold secrets.
            Err(error) => Self::Later { reason: chain(&error.without_url()), after: None },
        }
    }

    async fn of_response(response: Response) -> Self {
        let status = response.status();
        let after = retry_after(response.headers(), chrono::Utc::now());
        let body = match body_start(response).await {
            Ok(body) => body,
            // The status says enough, except that it was delivered.
            Err(error) if status.is_success() => {
                return Self::Later { reason: chain(&error.without_url()), after: None };
            }
            Err(_) => Vec::new(),
        };
        if status.is_success() {
            return Self::Delivered;
        }
        let reason = match String::from_utf8_lossy(&body).trim() {
            "" => format!("answered {status}"),
            body => format!("answered {status}: {body}"),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Self::Denied { reason }
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Self::Later { reason, after }
            }
            status if status.is_server_error() => Self::Later { reason, after },
            _ => Self::Refused { reason },
        }
    }
}

/// Reads the body, keeps its beginning.
async fn body_start(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let (mut start, mut length) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_REASON_BYTES.saturating_sub(start.len()).min(chunk.len());
        start.extend_from_slice(&chunk[..room]);
        length += chunk.len();
        if length > MAX_BODY_BYTES {
            break;
        }
    }
    Ok(start)
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = chrono::DateTime::parse_from_rfc2822("Fri, 31 Dec 1999 23:59:49 GMT").unwrap().to_utc();
        let wait = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, reqwest::header::HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(10));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:00 GMT"), Some(0));
        assert_eq!(wait("999999999"), Some(3_600));
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
