//! Messages read by hand, garbage, and valid frames with something broken in them.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn tuple(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => bytes.push(b'n'),
            Some(value) => {
                bytes.push(b'b');
                bytes.extend((value.len() as u32).to_be_bytes());
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

#[test]
fn an_update_with_its_old_key() {
    let mut bytes = vec![b'U', 0, 0, 0, 7, b'K'];
    bytes.extend(tuple(&[Some(b"1"), None]));
    bytes.push(b'N');
    bytes.extend(tuple(&[Some(b"2"), Some(b"")]));
    let Message::Update { relation: 7, old: Some((OldImage::Key, old)), new } = Message::decode(&bytes).unwrap() else {
        panic!("not an update");
    };
    assert_eq!(old.values().collect::<Vec<_>>(), [Datum::Binary(b"1"), Datum::Null]);
    assert_eq!(new.values().collect::<Vec<_>>(), [Datum::Binary(b"2"), Datum::Binary(b"")]);
    assert_eq!((new.len(), new.is_empty()), (2, false));
}

#[test]
fn a_relation() {
    let mut bytes = vec![b'R', 0, 0, 0, 9];
    bytes.extend(b"public\0t\0d");
    bytes.extend([0, 1, 1]);
    bytes.extend(b"id\0");
    bytes.extend([0, 0, 0, 23, 255, 255, 255, 255]);
    let Message::Relation(relation) = Message::decode(&bytes).unwrap() else { panic!("not a relation") };
    assert_eq!((relation.oid, relation.schema.as_str(), relation.name.as_str()), (9, "public", "t"));
    let column = RelationColumn { identity: true, name: "id".to_owned(), type_oid: 23, type_modifier: -1 };
    assert_eq!(relation.columns, [column]);
}

/// A value as a frame has it.
fn datum() -> impl Strategy<Value = Vec<u8>> {
    let bytes = (prop::sample::select(&b"tb"[..]), prop::collection::vec(any::<u8>(), 0..12));
    let bytes = bytes.prop_map(|(form, bytes)| {
        let mut out = vec![form];
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(bytes);
        out
    });
    prop_oneof![Just(b"n".to_vec()), Just(b"u".to_vec()), bytes]
}

fn row() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(datum(), 0..6).prop_map(|values| {
        let mut out = (values.len() as u16).to_be_bytes().to_vec();
        out.extend(values.concat());
        out
    })
}

/// A whole message about a row.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let framed = |tag: u8, parts: Vec<(u8, Vec<u8>)>| {
        let mut out = vec![tag, 0, 0, 0, 7];
        for (image, row) in parts {
            out.push(image);
            out.extend(row);
        }
        out
    };
    let image = || prop::sample::select(&b"KO"[..]);
    prop_oneof![
        row().prop_map(move |new| framed(b'I', vec![(b'N', new)])),
        row().prop_map(move |new| framed(b'U', vec![(b'N', new)])),
        (image(), row(), row()).prop_map(move |(image, old, new)| framed(b'U', vec![(image, old), (b'N', new)])),
        (image(), row()).prop_map(move |(image, old)| framed(b'D', vec![(image, old)])),
    ]
}

/// The message as a frame again, from nothing but what was read.
fn written(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let row = |image: u8, tuple: &Tuple<'_>| {
        let mut out = vec![image];
        out.extend((tuple.len() as u16).to_be_bytes());
        for value in tuple.values() {
            let (form, bytes) = match value {
                Datum::Null => (b'n', None),
                Datum::Unchanged => (b'u', None),
                Datum::Text(bytes) => (b't', Some(bytes)),
                Datum::Binary(bytes) => (b'b', Some(bytes)),
            };
            out.push(form);
            if let Some(bytes) = bytes {
                out.extend((bytes.len() as u32).to_be_bytes());
                out.extend(bytes);
            }
        }
        out
    };
    let old_row =
        |(image, tuple): &(OldImage, Tuple<'_>)| row(if *image == OldImage::Key { b'K' } else { b'O' }, tuple);
    let (tag, relation, rows) = match message {
        Message::Insert { relation, new } => (b'I', relation, row(b'N', new)),
        Message::Update { relation, old, new } => {
            (b'U', relation, [old.as_ref().map(old_row).unwrap_or_default(), row(b'N', new)].concat())
        }
        Message::Delete { relation, old } => (b'D', relation, old_row(old)),
        other => panic!("no row: {other:?}"),
    };
    out.push(tag);
    out.extend(relation.to_be_bytes());
    out.extend(rows);
    out
}

proptest! {
    #[test]
    fn a_frame_that_was_cut_is_an_error(frame in frame(), cut in any::<prop::sample::Index>()) {
        prop_assert_eq!(written(&Message::decode(&frame).unwrap()), frame.clone());
        prop_assert!(Message::decode(&frame[..cut.index(frame.len())]).is_err());
    }

    /// A bit that flipped is an error, or what was read is all of what came: nothing of another length.
    #[test]
    fn a_bit_that_flipped_loses_and_adds_nothing(frame in frame(), place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut broken = frame;
        let place = place.index(broken.len());
        broken[place] ^= 1 << bit;
        if let Ok(message) = Message::decode(&broken)
            && Message::is_row(&broken)
        {
            prop_assert_eq!(written(&message), broken);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&bytes);
    }

    /// Bytes that look like rows reach the tuple code, which pure noise rarely does.
    #[test]
    fn rows_of_garbage_never_panic(
        tag in prop::sample::select(&b"IUD"[..]),
        image in prop::sample::select(&b"NKO"[..]),
        columns in 0_u16..5,
        rest in proptest::collection::vec(prop::sample::select(&b"nutbNKO\0\0\0\0\x01\x02"[..]), 0..60),
    ) {
        let mut bytes = vec![tag, 0, 0, 0, 1, image];
        bytes.extend(columns.to_be_bytes());
        bytes.extend(rest);
        match Message::decode(&bytes) {
            Ok(Message::Insert { new, .. } | Message::Update { new, .. }) => {
                prop_assert_eq!(new.values().count(), new.len());
            }
            Ok(Message::Delete { old: (_, old), .. }) => prop_assert_eq!(old.values().count(), old.len()),
            _ => {}
        }
    }
}
