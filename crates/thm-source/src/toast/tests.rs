//! The store without a server: versions, crashes, sizes, and which column is which.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use thm_api::{Lsn, Position};

use super::layout::recognise;
use super::*;
use crate::pgoutput::{OldImage, Relation, RelationColumn, Tuple};

fn relation(columns: &[(&str, u32)]) -> Relation {
    let column = |(index, (name, type_oid)): (usize, &(&str, u32))| RelationColumn {
        identity: index == 0,
        name: (*name).to_owned(),
        type_oid: *type_oid,
        type_modifier: -1,
    };
    Relation {
        oid: 7,
        schema: "public".to_owned(),
        name: "t".to_owned(),
        identity: b'd',
        columns: columns.iter().enumerate().map(column).collect(),
    }
}

fn storage(filenode: u32, wal_end: u64, columns: &[(&str, u16, u32)]) -> TableStorage {
    let column = |(name, attribute, changed_by): &(&str, u16, u32)| ColumnStorage {
        name: (*name).to_owned(),
        attribute: *attribute,
        changed_by: *changed_by,
        toastable: *attribute > 1,
        identity: *attribute == 1,
    };
    let columns = columns.iter().map(column).collect();
    TableStorage { filenode, target_bytes: None, wal_end: Lsn(wal_end), identity: b'd', columns }
}

const SIMPLE: [(&str, u16, u32); 3] = [("id", 1, 5), ("body", 2, 5), ("note", 3, 5)];

/// `None` in a value: it is left out.
fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => bytes.push(b'u'),
            Some(value) => {
                bytes.push(b'b');
                bytes.extend((value.len() as u32).to_be_bytes());
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

fn hydrator(folder: &tempfile::TempDir, epoch: &str) -> Hydrator {
    let mut hydrator = Hydrator::open(&folder.path().join("t.redb"), epoch, "t").unwrap();
    let table = relation(&[("id", 23), ("body", 25), ("note", 25)]);
    hydrator.meet(&table, Some(&storage(1, 10, &SIMPLE)), Some(9)).unwrap();
    hydrator
}

fn at(commit: u64, ordinal: u64) -> Position {
    Position::new(Lsn(commit), ordinal)
}

fn insert(hydrator: &mut Hydrator, id: &[u8], body: &[u8], position: Position) {
    hydrator.insert(7, &Tuple::parse(&row(&[Some(id), Some(body), Some(b"n")])).unwrap(), position).unwrap();
}

/// The body that an update of `note` shows at a position.
fn seen(hydrator: &mut Hydrator, id: &[u8], position: Position) -> Option<Vec<u8>> {
    let bytes = row(&[Some(id), None, Some(b"m")]);
    match hydrator.update(7, None, &Tuple::parse(&bytes).unwrap(), position).unwrap() {
        Found::Completed => {
            let row = hydrator.row();
            let body = Tuple::parse(&row).unwrap().values().nth(1);
            let Some(crate::pgoutput::Datum::Binary(body)) = body else { panic!("{body:?}") };
            Some(body.to_vec())
        }
        Found::Lacking(columns) => {
            assert_eq!(columns, [1]);
            None
        }
        Found::Whole => panic!("the row is not whole"),
    }
}

#[tokio::test]
async fn a_row_sees_the_version_before_it_whatever_was_written_since() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (vec![b'a'; 3000], vec![b'b'; 3000]);
    let mut hydrator = hydrator(&folder, "e");
    insert(&mut hydrator, b"1", &old, at(100, 1));
    assert_eq!(hydrator.durable(at(100, u64::MAX)).await.unwrap(), Position::default(), "not told before it is kept");
    hydrator.flush(at(100, u64::MAX)).await.unwrap();
    assert_eq!(hydrator.durable(at(100, u64::MAX)).await.unwrap(), at(100, u64::MAX));
    insert(&mut hydrator, b"1", &new, at(200, 2));
    assert_eq!(seen(&mut hydrator, b"1", at(200, 1)), Some(old.clone()));
    assert_eq!(seen(&mut hydrator, b"1", at(200, 3)), Some(new.clone()));
    assert_eq!(seen(&mut hydrator, b"2", at(200, 4)), None);
    drop(hydrator);

    // Not flushed, so not told: it is sent and fed again.
    let mut hydrator = self::hydrator(&folder, "e");
    assert_eq!(seen(&mut hydrator, b"1", at(300, 1)), Some(old));
    drop(hydrator);
    let mut other = self::hydrator(&folder, "another");
    assert_eq!(seen(&mut other, b"1", at(300, 1)), None, "values of another start are not used");
}

#[tokio::test]
async fn a_flush_that_nobody_waits_for_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let body = vec![b'a'; 3000];
    let mut hydrator = hydrator(&folder, "e");
    insert(&mut hydrator, b"1", &body, at(100, 1));
    insert(&mut hydrator, b"2", &body, at(100, 2));
    let held = hydrator.store().hold();
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(20), hydrator.flush(at(100, u64::MAX))).await;
    assert!(given_up.is_err(), "the write is held up");
    assert_eq!(seen(&mut hydrator, b"1", at(200, 1)), Some(body.clone()));
    let key = row(&[Some(b"2"), Some(b""), Some(b"")]);
    hydrator.delete(7, &Tuple::parse(&key).unwrap(), at(200, 2)).unwrap();
    assert_eq!(seen(&mut hydrator, b"2", at(200, 3)), None);
    assert_eq!(seen(&mut hydrator, b"2", at(200, 1)), Some(body.clone()));
    drop(held);
    hydrator.flush(at(200, u64::MAX)).await.unwrap();
    drop(hydrator);
    let mut hydrator = self::hydrator(&folder, "e");
    assert_eq!(seen(&mut hydrator, b"1", at(300, 1)), Some(body));
    assert_eq!(seen(&mut hydrator, b"2", at(300, 1)), None);
}

#[tokio::test]
async fn deletes_and_truncates_take_values_away_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let body = vec![b'a'; 3000];
    let mut hydrator = hydrator(&folder, "e");
    for id in [b"1", b"2", b"3"] {
        insert(&mut hydrator, id, &body, at(100, 1));
    }
    hydrator.flush(at(100, u64::MAX)).await.unwrap();
    let key = row(&[Some(b"1"), Some(b""), Some(b"")]);
    hydrator.delete(7, &Tuple::parse(&key).unwrap(), at(200, 1)).unwrap();
    assert_eq!(seen(&mut hydrator, b"1", at(200, 0)), Some(body.clone()));
    assert_eq!(seen(&mut hydrator, b"1", at(200, 2)), None);
    hydrator.truncate(7, at(300, 1));
    insert(&mut hydrator, b"3", &body, at(300, 2));
    assert_eq!(seen(&mut hydrator, b"2", at(300, 3)), None);
    hydrator.flush(at(300, u64::MAX)).await.unwrap();
    drop(hydrator);
    let mut hydrator = self::hydrator(&folder, "e");
    let found = [b"1", b"2", b"3"].map(|id| seen(&mut hydrator, id, at(400, 1)).is_some());
    assert_eq!(found, [false, false, true]);
}

#[tokio::test]
async fn a_changed_key_takes_the_value_along() {
    let folder = tempfile::tempdir().unwrap();
    let body = vec![b'a'; 3000];
    let mut hydrator = hydrator(&folder, "e");
    insert(&mut hydrator, b"1", &body, at(100, 1));
    let (mut old, new) = (row(&[Some(b"1")]), row(&[Some(b"2"), None, Some(b"n")]));
    // The others are NULL in an image of the key.
    old[1] = 3;
    old.extend(b"nn");
    let old = (OldImage::Key, Tuple::parse(&old).unwrap());
    let found = hydrator.update(7, Some(&old), &Tuple::parse(&new).unwrap(), at(200, 1)).unwrap();
    assert_eq!(found, Found::Completed);
    assert_eq!(seen(&mut hydrator, b"2", at(200, 2)), Some(body));
    assert_eq!(seen(&mut hydrator, b"1", at(200, 2)), None);
}

/// A transaction larger than memory: what is staged ahead of the log is gone after a crash, and stays once it is durable.
#[tokio::test]
async fn staged_versions_live_as_long_as_the_log_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let body = vec![b'a'; 1 << 20];
    let fill = |hydrator: &mut Hydrator| {
        for n in 1..=20_u64 {
            insert(hydrator, n.to_string().as_bytes(), &body, at(200, n));
        }
    };
    let mut hydrator = hydrator(&folder, "e");
    insert(&mut hydrator, b"1", b"small", at(100, 1));
    hydrator.flush(at(100, u64::MAX)).await.unwrap();
    fill(&mut hydrator);
    assert_eq!(seen(&mut hydrator, b"3", at(200, 21)), Some(body.clone()), "read back from what is staged");
    assert_eq!(seen(&mut hydrator, b"3", at(200, 2)), None, "not before its place");
    // Something else becomes durable meanwhile, and with it what is staged.
    hydrator.flush(at(150, u64::MAX)).await.unwrap();
    drop(hydrator);
    let mut hydrator = self::hydrator(&folder, "e");
    assert_eq!(seen(&mut hydrator, b"3", at(180, 1)), None);
    assert_eq!(seen(&mut hydrator, b"3", at(300, 1)), None, "the log never had it: it is sent again");
    fill(&mut hydrator);
    hydrator.flush(at(200, u64::MAX)).await.unwrap();
    drop(hydrator);
    let mut hydrator = self::hydrator(&folder, "e");
    assert_eq!(seen(&mut hydrator, b"3", at(300, 1)), Some(body));
}

#[test]
fn a_column_is_known_by_its_number_and_doubted_when_that_is_unsure() {
    let table = relation(&[("id", 23), ("body", 25), ("note", 25)]);
    let first = recognise(&table, Some(&storage(1, 10, &SIMPLE)), None, Some(9));
    let numbers = |known: &Known| known.columns.iter().map(|column| column.attribute).collect::<Vec<_>>();
    let doubts = |known: &Known| known.columns.iter().map(|column| column.distrusted.0).collect::<Vec<_>>();
    assert_eq!((numbers(&first), doubts(&first)), (vec![1, 2, 3], vec![0, 0, 0]));
    // Added and renamed: the number stays.
    let added = relation(&[("id", 23), ("text", 25), ("note", 25), ("more", 25)]);
    let now = storage(1, 20, &[("id", 1, 5), ("text", 2, 8), ("note", 3, 5), ("more", 4, 8)]);
    let renamed = recognise(&added, Some(&now), Some(&first), Some(9));
    assert_eq!((numbers(&renamed), doubts(&renamed)), (vec![1, 2, 3, 4], vec![0, 0, 0, 0]));
    // body dropped, note renamed to body, a new note: same names, other columns.
    let moved = storage(1, 20, &[("id", 1, 5), ("body", 3, 8), ("note", 4, 8)]);
    let moved = recognise(&table, Some(&moved), Some(&first), Some(9));
    assert_eq!((numbers(&moved), doubts(&moved)), (vec![1, 3, 4], vec![0, 20, 20]));
    // Rewritten with USING; VACUUM FULL alone changes no value.
    let retyped = storage(2, 20, &[("id", 1, 5), ("body", 2, 8), ("note", 3, 5)]);
    assert_eq!(doubts(&recognise(&table, Some(&retyped), Some(&first), Some(9))), [0, 20, 0]);
    assert_eq!(doubts(&recognise(&table, Some(&storage(2, 20, &SIMPLE)), Some(&first), Some(9))), [0, 0, 0]);
    // A definition later than the rows: of a known column it is no matter, of an unknown one it may be another's.
    let later = storage(1, 20, &[("id", 1, 5), ("body", 2, 12), ("note", 3, 5)]);
    assert_eq!(doubts(&recognise(&table, Some(&later), Some(&first), Some(9))), [0, 0, 0]);
    assert_eq!(doubts(&recognise(&table, Some(&later), None, Some(9))), [0, 20, 0]);
    // Renamed and renamed back before we look.
    let text = relation(&[("id", 23), ("text", 25), ("note", 25)]);
    assert_eq!(numbers(&recognise(&text, Some(&later), Some(&first), Some(9))), [1, 2, 3]);
    // Dropped by now: as known; another order than the catalog's: unknown columns are no columns.
    assert_eq!(numbers(&recognise(&table, None, Some(&first), Some(9))), [1, 2, 3]);
    let swapped = storage(1, 20, &[("id", 1, 5), ("note", 2, 8), ("body", 3, 8)]);
    assert_eq!(numbers(&recognise(&table, Some(&swapped), None, Some(9))), [0, 0, 0]);
}

proptest! {
    /// A row that the gate lets pass has no value that could be out of line, by the estimate that looks at each value.
    #[test]
    fn the_gate_is_never_stricter_than_the_estimate(body in 0_usize..4000, note in 0_usize..4000, json: bool) {
        let types = [("id", 23), ("body", if json { 3802 } else { 25 }), ("note", 25)];
        let table = relation(&types);
        let now = storage(1, 10, &SIMPLE);
        let layout = Layout::new(&table, &now, &recognise(&table, Some(&now), None, None)).unwrap();
        let bytes = row(&[Some(b"0001"), Some(&vec![b'x'; body]), Some(&vec![b'y'; note])]);
        let tuple = Tuple::parse(&bytes).unwrap();
        let large = layout.cells(&tuple).any(|cell| cell.large);
        prop_assert!(layout.may_be_large(&tuple) || !large);
        // PostgreSQL's own rule, for text: header, bitmap and alignment take at least 24 bytes.
        prop_assert!(json || large || body + note + 24 <= 2032 + 8);
    }
}
