//! Typed relations → what runs.

pub mod bounded;
