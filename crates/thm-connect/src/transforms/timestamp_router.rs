//! `TimestampRouter`: another topic, made from the old one and the record's timestamp.

use super::Transform;
use super::java_date::DateFormat;
use super::record::{Applied, ConnectRecord, DataError};
use super::settings::Settings;

struct TimestampRouter {
    topic: String,
    timestamp: DateFormat,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let topic = settings.text("topic.format", "${topic}-${timestamp}");
    let timestamp = DateFormat::new(&settings.text("timestamp.format", "yyyyMMdd"))?;
    Ok(Box::new(TimestampRouter { topic, timestamp }))
}

impl Transform for TimestampRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let timestamp = record.timestamp_ms;
        let timestamp =
            timestamp.ok_or_else(|| DataError(format!("Timestamp missing on record of topic {}", record.topic)))?;
        let topic = self.topic.replace("${topic}", &record.topic);
        record.topic = topic.replace("${timestamp}", &self.timestamp.format(timestamp));
        Ok(Some(record))
    }
}
