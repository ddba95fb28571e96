//! Kafka Connect's data: a value beside the schema that says what it is, from and to `JsonConverter`'s JSON.
//!
//! ```text
//!   {"schema":{…},"payload":{…}} ──SchemaReader──▶ Part { schema, value } ──write_value──▶ {…} or {"schema":…,"payload":…}
//!   {…}                          ──parse_plain───▶ Part { no schema, value } ─┘
//! ```
//! For whoever looks into records and changes them; the way of records that nobody touches does not come by here.
//!
//! Invariant: what was read and not changed is written as it stood, to the byte.

mod decimal;
mod json_read;
mod json_write;
mod text_write;
mod value;

pub use decimal::{write_big_decimal, write_decimal};
pub use json_read::{JsonError, SchemaReader, parse_plain, parse_schema, parse_value};
pub use json_write::{JsonForm, numeric_defaults, write_value};
pub use text_write::write_text;
pub use value::{Part, Value};
