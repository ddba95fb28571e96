//! `Filter`: drops every record that comes by; a predicate says which do.

use super::Transform;
use super::record::{Applied, ConnectRecord};
use super::settings::Settings;

pub(super) struct Filter;

pub(super) fn build(_settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(Filter))
}

impl Transform for Filter {
    fn apply(&mut self, _record: ConnectRecord) -> Applied {
        Ok(None)
    }
}
