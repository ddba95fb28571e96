//! The leaderboard on a real redis-server: exactly once, sliding, rebuilt.

mod columns;
mod faults;
mod random;
pub mod service;
mod window;
mod without;
