//! The HTTP sink against an API that fails, stalls and limits on request.

pub mod api;
mod batches;
mod faults;
mod order;
mod pipeline;
mod restarts;
