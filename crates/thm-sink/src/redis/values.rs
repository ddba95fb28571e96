//! The fields of a record that count, whether they were read from columns or from JSON.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The four fields of a record, as text; `Some(None)` is NULL, `None` is a field that is not there.
#[derive(Default)]
pub(super) struct Values<'a> {
    pub id: Option<Option<Cow<'a, str>>>,
    pub content: Option<Option<Cow<'a, str>>>,
    pub kind: Option<Option<Cow<'a, str>>>,
    pub time: Option<Option<Time<'a>>>,
}

/// The event's own time as it came.
#[derive(Clone, Debug)]
pub(super) enum Time<'a> {
    Millis(i64),
    Text(Cow<'a, str>),
}

/// A JSON scalar as text; NULL, arrays and objects have none.
pub(super) fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'n' | b'[' | b'{' => None,
        b'"' if !text.contains('\\') => Some(Cow::Borrowed(&text[1..text.len() - 1])),
        b'"' => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
        _ => Some(Cow::Borrowed(text)),
    }
}
