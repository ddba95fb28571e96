//! Debezium's change events as bytes: envelope, key, headers, and the text of each kind of value.
//!
//! ```text
//!   {"before":null,"after":{"id":1,...},"source":{...},"transaction":null,"op":"c","ts_ms":...,"ts_us":...,"ts_ns":...}
//!    └ Envelope::open ┘└ row ┘ └──────────────────────────── Envelope::close ────────────────────────────────────────┘
//! ```
//!
//! What never changes for a table is rendered once ([`Envelope`]); a row then costs copies of those pieces and the
//! text of its own values. Nothing here allocates per value: everything appends to a buffer of the caller.
//!
//! Invariant: field order, number and string forms are those of the recorded envelopes (3.7 and 2.7); the only
//! difference is `source.version`, which names us.

mod adjust;
mod envelope;
mod headers;
mod numeric;
mod schema;
mod supersede;
mod value;

pub use adjust::{Adjust, escape_unit};
pub use envelope::{
    Change, Envelope, EnvelopeTail, EnvelopeVersion, EventTime, SnapshotMarker, envelope_schema, source_schema,
    transaction_schema, write_transaction,
};
pub use headers::ContextHeaders;
pub use numeric::{Numeric, NumericError};
pub use schema::{Schema, SchemaKind};
pub use supersede::StoredEnvelope;
pub use value::{
    MICROS_PER_DAY, PG_EPOCH_DAYS, PG_EPOCH_MICROS, civil, write_base64, write_date_time, write_day, write_field_name,
    write_int, write_sequence_number, write_time_of_day, write_uuid,
};
