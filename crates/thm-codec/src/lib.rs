//! Pure codecs: bytes in, value or typed error out. No I/O, no clocks.
//!
//! | module | bytes |
//! |---|---|
//! | [`record_batch`] | Kafka's `RecordBatch` v2: the log's unit |
//! | [`origin`] | the headers that say where a job's record comes from |
//! | [`java_json`] | JSON text as Java's writers print it |
//! | [`java_text`] | structs as Java prints them |
//! | [`murmur2`] | which partition a key belongs to |

pub mod debezium;
pub mod java_json;
pub mod java_text;
pub mod murmur2;
pub mod origin;
pub mod record_batch;
