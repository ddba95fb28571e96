//! Pure codecs: bytes in, value or typed error out. No I/O, no clocks.
//!
//! | module | bytes |
//! |---|---|
//! | [`record_batch`] | Kafka's `RecordBatch` v2: the log's unit |
//! | [`origin`] | the headers that say where a job's record comes from |
//! | [`connect`] | Kafka Connect's values with their schemas, from and to `JsonConverter`'s JSON |
//! | [`json_cursor`] | the members of a JSON object as slices of its text |
//! | [`java_json`] | JSON text as Java's writers print it |
//! | [`java_regex`] | Java's regular expressions for our engine |
//! | [`java_text`] | structs as Java prints them |
//! | [`murmur2`] | which partition a key belongs to |

pub mod connect;
pub mod debezium;
pub mod java_date;
mod java_float;
pub mod java_json;
pub mod java_regex;
pub mod java_text;
pub mod json_cursor;
pub mod murmur2;
pub mod origin;
pub mod record_batch;
