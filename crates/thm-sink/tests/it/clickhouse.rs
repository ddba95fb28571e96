//! The ClickHouse sink against a real engine: once and only once, odd values, updates, deletes, faults.

mod disorder;
pub mod engine;
mod evolve;
mod exactly_once;
mod faults;
mod late;
mod singles;
mod updates;
