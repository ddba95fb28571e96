//! Answers in Connect's shapes.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::herder::Refusal;

/// One answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
}

impl Reply {
    const fn plain(status: u16) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Vec::new() }
    }

    /// Without a body.
    pub(super) const fn empty(status: u16) -> Self {
        Self::plain(status)
    }

    /// With a JSON body.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { content_type: Some("application/json"), body, ..Self::plain(status) },
            Err(error) => Self::error(500, &error.to_string()),
        }
    }

    /// Connect's error body.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self { content_type: Some("application/json"), ..Self::untyped(status, message) }
    }

    /// What the herder refused.
    pub(super) fn refusal(refusal: &Refusal) -> Self {
        Self::error(refusal.status, &refusal.message)
    }

    /// An error of HTTP itself: Connect gives it no content type.
    pub(super) fn bare(status: u16, reason: &str) -> Self {
        Self::untyped(status, &format!("HTTP {status} {reason}"))
    }

    fn untyped(status: u16, message: &str) -> Self {
        let body = json!({"error_code": status, "message": message}).to_string().into_bytes();
        Self { body, ..Self::plain(status) }
    }

    /// A path that can be read in two ways.
    pub(super) fn bad_uri(problem: &str, with_page: bool) -> Self {
        if !with_page {
            return Self::empty(400);
        }
        let page = format!(
            "<html>\n<head>\n<title>Error 400 {problem}</title>\n</head>\n<body>\n<h2>HTTP ERROR 400 {problem}</h2>\n\
             </body>\n</html>\n"
        );
        Self { content_type: Some("text/html;charset=iso-8859-1"), body: page.into_bytes(), ..Self::plain(400) }
    }

    /// What may be asked of a resource.
    pub(super) fn options(methods: &[&str]) -> Self {
        let mut allowed = vec!["HEAD"];
        allowed.retain(|_| methods.contains(&"GET"));
        allowed.extend(methods);
        allowed.push("OPTIONS");
        let body = allowed.join(", ").into_bytes();
        let reply = Self { content_type: Some("text/plain"), body, ..Self::plain(200) };
        reply.with(header::ALLOW, allowed.join(","))
    }

    /// With a header.
    pub(super) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if let Some(content_type) = self.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
