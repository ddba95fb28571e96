//! The services on their own, then the supervisor with all of them and a stand-in for the engine.

mod services;
mod supervisor;
