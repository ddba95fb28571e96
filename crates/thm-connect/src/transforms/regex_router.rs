//! `RegexRouter`: another topic, made from the name of the old one.

use super::Transform;
use super::java_pattern::JavaPattern;
use super::record::{Applied, ConnectRecord};
use super::settings::Settings;

struct RegexRouter {
    regex: JavaPattern,
    replacement: String,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let (regex, replacement) = (settings.required_pattern("regex"), settings.required("replacement"));
    super::or_filter(regex.map(|regex| RegexRouter { regex, replacement }))
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        if let Some(topic) = self.regex.route(&record.topic, &self.replacement)? {
            record.topic = topic;
        }
        Ok(Some(record))
    }
}
