//! The product from outside: the real binary between a real PostgreSQL, Redis, ClickHouse engine and the mock API.
//!
//! Each test has its own stack on free ports in a temporary folder; children end with it, also when it fails.
#![allow(clippy::unwrap_used)]

mod airflow;
mod bad_input;
mod compose;
mod conformance;
mod faults;
mod fresh_start;
mod jobs;
mod kills;
mod operate;
mod published_files;
mod rest;
mod screen;
mod smoke;
mod source;
mod sql;
mod stack;
mod values;
mod verify;
