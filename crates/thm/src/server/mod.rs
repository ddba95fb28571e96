//! What the engine shows on its ports: Flink REST, dashboard, status and metrics on one; Connect REST on another.

pub mod api;
pub mod flink;
mod jobs;
mod log_page;
pub mod page;
mod status;
pub mod watch;
