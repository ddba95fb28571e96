//! The routes of the mock API.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::faults::{FaultState, Faults, Refusal};
use super::ledger::{Counts, Ledger, LedgerLine, checksum};

/// Largest body taken: a batch of 10,000 events of 1 KiB and room.
const DEFAULT_MAX_BODY_BYTES: usize = 16 << 20;

/// What the routes share.
pub(super) struct Api {
    ledger: Mutex<Ledger>,
    faults: Mutex<FaultState>,
}

impl Api {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), faults: Mutex::new(FaultState::new(Faults::default())) }
    }

    pub(super) fn counts(&self) -> Counts {
        self.ledger.lock().counts
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.lock() = FaultState::new(faults);
    }
}

pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/", get(async || "OK"))
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/metrics", get(metrics))
        .route("/events", post(events))
        .route("/control", get(show_faults).post(change_faults))
        .layer(DefaultBodyLimit::max(DEFAULT_MAX_BODY_BYTES))
        .with_state(api)
}

async fn events(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let (refusal, stall) = {
        let mut faults = api.faults.lock();
        (faults.next_refusal(Instant::now()), faults.stall())
    };
    if let Some(refusal) = &refusal {
        api.ledger.lock().counts.faults += 1;
        if !refusal.received {
            return refused(refusal);
        }
    }
    let answer = receive(&api, &headers, &body);
    if let Some(stall) = stall {
        tokio::time::sleep(stall).await;
    }
    match refusal {
        Some(refusal) => refused(&refusal),
        None => answer,
    }
}

/// Parses the body and writes it down; the answer says whether that worked.
fn receive(api: &Api, headers: &HeaderMap, body: &[u8]) -> Response {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let texts = match event_texts(body) {
        Ok(texts) => texts,
        Err(error) => {
            api.ledger.lock().counts.malformed += 1;
            let answer = json!({"ok": false, "received": false, "error": format!("body is not JSON: {error}")});
            return (StatusCode::BAD_REQUEST, Json(answer)).into_response();
        }
    };
    let events = texts.len();
    let ids = texts.iter().map(|text| event_id(text)).collect();
    let sums = texts.iter().map(|text| checksum(text.get().as_bytes())).collect();
    if let Err(error) = api.ledger.lock().append(&LedgerLine { key, ids, sums }) {
        tracing::error!(%error, "could not write the ledger");
        let answer = json!({"ok": false, "received": false, "error": "the ledger cannot be written"});
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(answer)).into_response();
    }
    tracing::debug!(events, key, "events received");
    Json(json!({"ok": true, "received": true})).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    let answer = json!({"ok": false, "received": false, "error": "told to refuse by /control"});
    let mut response = (refusal.status, Json(answer)).into_response();
    if let Some(seconds) = refusal.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The part of an event that we look at; the rest is checked to be JSON and skipped.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

fn event_id(event: &RawValue) -> Option<&RawValue> {
    serde_json::from_str::<Event<'_>>(event.get()).ok()?.id
}

/// Each event of a body: one value, an array of them, or several one after another (NDJSON).
fn event_texts(body: &[u8]) -> serde_json::Result<Vec<&RawValue>> {
    let mut texts = Vec::new();
    let mut is_empty = true;
    for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
        let value = value?;
        is_empty = false;
        if value.get().starts_with('[') {
            let events: Vec<&RawValue> = serde_json::from_str(value.get())?;
            texts.extend(events);
        } else {
            texts.push(value);
        }
    }
    if is_empty { Err(serde::de::Error::custom("it is empty")) } else { Ok(texts) }
}

async fn show_faults(State(api): State<Arc<Api>>) -> Json<Faults> {
    Json(api.faults.lock().faults().clone())
}

async fn change_faults(State(api): State<Arc<Api>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) => {
            api.set_faults(faults.clone());
            Json(faults).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({"error": error.to_string()}))).into_response(),
    }
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let Counts { requests, events, repeated_keys, malformed, faults } = api.counts();
    let mut text = String::new();
    for (name, help, value) in [
        ("requests", "accepted requests", requests),
        ("events", "events in accepted requests", events),
        ("repeated_keys", "accepted requests whose idempotency key was seen before", repeated_keys),
        ("malformed", "requests that were not JSON", malformed),
        ("faults", "requests refused by a fault", faults),
    ] {
        let name = format!("thm_mock_api_{name}_total");
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
