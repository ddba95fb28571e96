//! Sinks against real services: redis-server, an HTTP API that fails on request, the ClickHouse engine.
#![allow(clippy::unwrap_used, missing_docs)]

mod clickhouse;
mod http;
mod redis;
mod support;
mod tls;
