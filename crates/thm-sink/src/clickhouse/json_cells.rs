//! Cells from a record's JSON value: one pass over the text, no allocation for fields without escapes.
//!
//! In: the bytes of a value that must be one JSON object. Out: for each table column the text of its field, which
//! [`cell`] turns into a [`Cell`] by its first byte. Numbers stay text, so decimals and large integers are exact.
//! Of a field that stands twice the last counts, as in the sink that this one replaces.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::Cell;

/// Names to places: where a field of that name goes.
#[derive(Clone, Debug, Default)]
pub struct FieldIndex {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl FieldIndex {
    /// Fields in the order of their places.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let places = names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        Self { names, places }
    }

    /// The place of a name. `hint` is tried first: fields mostly come in table order.
    #[must_use]
    pub fn place(&self, name: &str, hint: usize) -> Option<usize> {
        if self.names.get(hint).is_some_and(|expected| expected == name) {
            return Some(hint);
        }
        self.places.get(name).copied()
    }
}

/// Puts the text of each known field of `value` into its slot; others are passed over. Slots of fields that
/// are not there are left `None`. `Err` says what the value is instead of one JSON object.
pub fn read_fields<'v>(
    value: &'v [u8],
    index: &FieldIndex,
    slots: &mut [Option<&'v RawValue>],
) -> Result<(), &'static str> {
    slots.fill(None);
    let text = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8")?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err("the value is no JSON object");
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Fields { index, slots }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Syntax if error.to_string().starts_with("trailing") => {
            "the value has text after its JSON object"
        }
        _ => "the value is malformed JSON",
    })
}

/// The names of a JSON object's fields, in order; `None` if it is no object.
#[must_use]
pub fn field_names(value: &[u8]) -> Option<Vec<String>> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    serde_json::Deserializer::from_slice(value).deserialize_map(Names).ok()
}

/// Whether the value is a JSON object whose fields' names are all known; other values have none.
#[must_use]
pub fn all_known(value: &[u8], is_known: impl Fn(&str) -> bool) -> bool {
    struct Known<F>(F);
    impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Known<F> {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut all = true;
            while let Some(known) = map.next_key_seed(IsKnown(&self.0))? {
                map.next_value::<IgnoredAny>()?;
                all &= known;
            }
            Ok(all)
        }
    }
    serde_json::Deserializer::from_slice(value).deserialize_map(Known(is_known)).unwrap_or(true)
}

/// A field's name, asked about where it stands.
struct IsKnown<'f, F>(&'f F);

impl<'v, F: Fn(&str) -> bool> DeserializeSeed<'v> for IsKnown<'_, F> {
    type Value = bool;
    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl<F: Fn(&str) -> bool> Visitor<'_> for IsKnown<'_, F> {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok((self.0)(name))
    }
}

/// Whether the value is a JSON object with exactly these fields in this order.
#[must_use]
pub fn has_fields<'n>(value: &[u8], names: impl Iterator<Item = &'n str>) -> bool {
    struct Expected<I>(I);
    impl<'de, 'n, I: Iterator<Item = &'n str>> Visitor<'de> for Expected<I> {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
            let mut same = true;
            let mut expected = self.0.next();
            while let Some(equal) = map.next_key_seed(SameName(expected))? {
                map.next_value::<IgnoredAny>()?;
                same &= equal;
                expected = self.0.next();
            }
            Ok(same && expected.is_none())
        }
    }
    serde_json::Deserializer::from_slice(value).deserialize_map(Expected(names)).unwrap_or(false)
}

/// A field's name, compared where it stands.
struct SameName<'n>(Option<&'n str>);

impl<'v> DeserializeSeed<'v> for SameName<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for SameName<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

/// A field's text as a cell.
#[must_use]
pub fn cell(field: Option<&RawValue>) -> Cell<'_> {
    let Some(text) = field.map(RawValue::get) else { return Cell::Null };
    match text.as_bytes().first() {
        Some(b'"') => Cell::Text(unquote(text)),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'{' | b'[') => Cell::Nested(text),
        Some(b'n') | None => Cell::Null,
        Some(_) => Cell::Number(text),
    }
}

fn unquote(text: &str) -> Cow<'_, str> {
    let inner = &text[1..text.len() - 1];
    if inner.as_bytes().contains(&b'\\') {
        // The text was validated when the object was read; a lone surrogate is all that can still be wrong.
        return serde_json::from_str(text).map_or(Cow::Borrowed(inner), Cow::Owned);
    }
    Cow::Borrowed(inner)
}

struct Fields<'s, 'v> {
    index: &'s FieldIndex,
    slots: &'s mut [Option<&'v RawValue>],
}

impl<'v> DeserializeSeed<'v> for Fields<'_, 'v> {
    type Value = ();
    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'v> Visitor<'v> for Fields<'_, 'v> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'v>>(self, mut map: A) -> Result<(), A::Error> {
        let mut hint = 0;
        while let Some(place) = map.next_key_seed(Name { index: self.index, hint })? {
            match place {
                Some(place) => {
                    let slot = self.slots.get_mut(place).ok_or_else(|| A::Error::custom("no such slot"))?;
                    *slot = Some(map.next_value()?);
                    hint = place + 1;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A field's name, looked up where it stands.
struct Name<'s> {
    index: &'s FieldIndex,
    hint: usize,
}

impl<'v> DeserializeSeed<'v> for Name<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.index.place(name, self.hint))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cells(value: &str) -> Result<Vec<Cell<'_>>, &'static str> {
        let index = FieldIndex::new(vec!["id".into(), "text".into()]);
        let mut slots = vec![None; 2];
        read_fields(value.as_bytes(), &index, &mut slots)?;
        Ok(slots.into_iter().map(cell).collect())
    }

    #[test]
    fn fields_in_any_order_and_unknown_ones() {
        let expected = vec![Cell::Number("12345678901234567890.50"), Cell::Text("ä\"\n😀".into())];
        let value = r#"{"x":{"id":7},"text":"ä\"\n\uD83D\uDE00","id":12345678901234567890.50,"y":[1]}"#;
        assert_eq!(cells(value), Ok(expected));
        assert_eq!(cells("{}"), Ok(vec![Cell::Null, Cell::Null]));
        assert_eq!(cells(r#" {"id":1,"id":2,"text":null}"#), Ok(vec![Cell::Number("2"), Cell::Null]));
    }

    #[test]
    fn anything_but_one_object_is_named() {
        for value in ["", "null", "42", "\"x\"", "[{}]"] {
            assert_eq!(cells(value), Err("the value is no JSON object"), "{value}");
        }
        for value in ["{\"id\":1,", "{\"id\":NaN}", "{bad"] {
            assert_eq!(cells(value), Err("the value is malformed JSON"), "{value}");
        }
        assert_eq!(cells("{}{}"), Err("the value has text after its JSON object"));
    }

    #[test]
    fn exactly_the_fields_in_order() {
        let is = |value: &str| has_fields(value.as_bytes(), ["id", "text"].into_iter());
        assert!(is(r#"{"id":1,"text":{"x":[]}}"#));
        for other in [r#"{"text":1,"id":1}"#, r#"{"id":1}"#, r#"{"id":1,"text":2,"more":3}"#, "{}", "[]", "{"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn names_of_a_key() {
        assert_eq!(field_names(br#"{"id":1,"b":2}"#), Some(vec!["id".to_owned(), "b".to_owned()]));
        assert_eq!(field_names(b"\"k1\""), None);
    }
}
