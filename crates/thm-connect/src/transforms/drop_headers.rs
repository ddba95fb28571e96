//! `DropHeaders`: takes headers away by name.

use super::Transform;
use super::record::{Applied, ConnectRecord};
use super::settings::Settings;

struct DropHeaders(Vec<String>);

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(DropHeaders(settings.required_list("headers"))))
}

impl Transform for DropHeaders {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        record.headers.retain(|header| !self.0.contains(&header.name));
        Ok(Some(record))
    }
}
