//! `Poison`: once a write or fsync has failed, nothing more is appended until the process starts again.
//!
//! After a failed fsync the kernel may have dropped the pages and call the next fsync a success. So there is no
//! retry, and no second chance within a process: a start reads back what is really there.

use std::sync::OnceLock;
use thm_api::{Error, ErrorKind, Result};

/// Why the log has stopped, if it has.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    reason: OnceLock<String>,
}

impl Poison {
    /// Stops the log for good. The first reason stays.
    pub(crate) fn set(&self, reason: String) {
        if self.reason.set(reason).is_ok() {
            tracing::error!(reason = self.reason.get(), "the log has stopped");
        }
    }

    /// Whether it has stopped.
    pub(crate) fn is_set(&self) -> bool {
        self.reason.get().is_some()
    }

    /// `ErrorKind::LogIo` if it has stopped.
    pub(crate) fn check(&self, object: &dyn std::fmt::Display) -> Result<()> {
        match self.reason.get() {
            None => Ok(()),
            Some(reason) => Err(Error::new(ErrorKind::LogIo, "appending to", object.to_string())
                .with_source(format!("the log has stopped: {reason}"))),
        }
    }
}
