//! What is wrong is named, with its code, the object and the next step; nothing panics, hangs or is silent.
//!
//! One file per system. Most cases need no stack: an engine alone, the one service in question, and REST.
//!
//! ```text
//!  before the start   files, SQL, ports, data folder     exit code 2, 3 or 4; nothing was started
//!  over REST          options                            Connect's error shape, the option named
//!  may pass           unreachable, busy, 5xx, 429        RUNNING, the reason in the task's trace, well by itself
//!  needs somebody     rights, tables, types              FAILED, cause and remedy in the task's trace
//!  a record           malformed, refused                 dead letter queue or FAILED, per errors.tolerance
//! ```

pub mod bare;
pub mod connectors;
mod files;
mod postgres;
mod records;
pub mod sinks;
mod sql;
mod values;
