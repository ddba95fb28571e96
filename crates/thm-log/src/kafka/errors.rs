//! What Kafka clients are told of our errors.

use kafka_protocol::error::ResponseError;
use thm_api::{Error, ErrorKind};
use thm_codec::record_batch::CodecError;

/// "All is well" on the wire.
pub(super) const NONE: i16 = 0;

/// The answer's code for an error of the log.
pub(super) fn of_log(error: &Error) -> ResponseError {
    match error.kind() {
        ErrorKind::TopicMissing => ResponseError::UnknownTopicOrPartition,
        ErrorKind::TopicMismatch => ResponseError::InvalidTopicException,
        ErrorKind::OffsetOutOfRange => ResponseError::OffsetOutOfRange,
        ErrorKind::InvalidRecord => ResponseError::InvalidRecord,
        ErrorKind::LogIo | ErrorKind::LogCorrupt => ResponseError::KafkaStorageError,
        _ => {
            tracing::error!(%error, "request failed in the log");
            ResponseError::UnknownServerError
        }
    }
}

/// The answer's code for a batch that cannot be read.
pub(super) const fn of_codec(error: &CodecError) -> ResponseError {
    match error {
        CodecError::Crc { .. } | CodecError::Truncated { .. } => ResponseError::CorruptMessage,
        CodecError::TooLarge(_) => ResponseError::MessageTooLarge,
        _ => ResponseError::InvalidRecord,
    }
}

/// The code of a result that has nothing else to say.
pub(super) fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(NONE, ResponseError::code)
}
