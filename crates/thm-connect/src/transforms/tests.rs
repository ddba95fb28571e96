//! What each transform makes of a record, with and without a schema, and what is refused.
#![allow(clippy::unwrap_used)]
