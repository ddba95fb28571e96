//! What an operator does to a running engine: looks, pauses, restarts, sets offsets elsewhere, replays dead letters.

mod connectors;
mod dead_letters;
mod kafka_client;
mod recipes;
mod resets;
mod target;
