//! What the engine shows on its ports: Flink REST, dashboard, status and metrics on one; Connect REST on another.

pub mod api;
mod board;
pub mod flink;
pub mod page;
