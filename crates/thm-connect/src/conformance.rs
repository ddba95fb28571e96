//! What every source and sink task must do, as checks that any crate runs on its own tasks.
//!
//! A subject goes in: how to make a task, and how to look at the outside system. A broken promise panics with its
//! name; these are called from tests only.
//!
//! | check | promise |
//! |---|---|
//! | [`sink_task`] | ranges come again after errors, time-outs and crashes; flush names what is durable; generations |
//! | [`source_task`] | whole events in order, none left out, none at or below durable progress; cancel-safe polls |

mod sink;
mod source;

pub use sink::{SinkSubject, sink_task};
pub use source::{SourceSubject, source_task};
