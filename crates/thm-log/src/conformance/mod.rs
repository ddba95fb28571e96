//! What every [`thm_api::Log`] must do, as a suite that other crates can run on their own implementation.
