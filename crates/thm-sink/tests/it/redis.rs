//! The leaderboard on a real redis-server: exactly once, sliding, rebuilt.

mod faults;
mod service;
mod window;
