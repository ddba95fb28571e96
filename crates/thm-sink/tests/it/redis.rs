//! The leaderboard on a real redis-server: exactly once, sliding, rebuilt.

mod columns;
mod faults;
mod random;
mod service;
mod window;
mod without;
