//! The embedded log from outside: conformance, durability, recovery, retention, and a process that is killed.

mod conformance;
mod durability;
mod kill;
mod recovery;
mod retention;
mod support;
mod tail;
