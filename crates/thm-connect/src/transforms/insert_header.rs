//! `InsertHeader`: a header of a constant value.

use thm_codec::connect::Part;

use super::Transform;
use super::header_text::parse;
use super::record::{Applied, ConnectRecord};
use super::settings::Settings;

struct InsertHeader {
    name: String,
    value: Part,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let (name, value) = (settings.required("header"), parse(&settings.required("value.literal")));
    Ok(Box::new(InsertHeader { name, value }))
}

impl Transform for InsertHeader {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        record.add_header(&self.name, self.value.clone());
        Ok(Some(record))
    }
}
