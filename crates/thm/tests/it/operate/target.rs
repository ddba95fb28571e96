//! An HTTP target that remembers what it was sent, and refuses on request.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::bad_input::connectors::http;

/// A delivery: body and idempotency key.
pub type Post = (String, String);

#[derive(Clone, Default)]
pub struct Target {
    pub port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    /// Bodies with this text are refused.
    refused: Arc<Mutex<Option<String>>>,
}

impl Target {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let router = Router::new().fallback(receive).with_state(target.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        target
    }

    /// Options of a sink that posts here.
    pub fn sink(&self) -> Value {
        http(&format!("http://127.0.0.1:{}/events", self.port))
    }

    pub fn refuse(&self, text: Option<&str>) {
        *self.refused.lock() = text.map(str::to_owned);
    }

    /// What was taken, in order.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().clone()
    }

    /// The bodies of it.
    pub fn bodies(&self) -> Vec<String> {
        self.posts().into_iter().map(|(body, _)| body).collect()
    }
}

async fn receive(State(target): State<Target>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let body = String::from_utf8(body.to_vec()).unwrap();
    if target.refused.lock().as_ref().is_some_and(|text| body.contains(text)) {
        return (StatusCode::UNPROCESSABLE_ENTITY, json!({"error": "not on my watch"}).to_string());
    }
    let key = headers.get("idempotency-key").map_or("", |key| key.to_str().unwrap()).to_owned();
    target.posts.lock().push((body, key));
    (StatusCode::OK, String::new())
}
