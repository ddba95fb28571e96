//! What stands in a chunk's columns gives the rows and refusals that the records' texts give.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use thm_api::{Lsn, Origin, Position, RowMeta, SinkPartition, TopicPartition};
use uuid::Uuid;

use super::super::fold::Prepared;
use super::super::table::Column;
use super::super::types::ColumnType;
use super::*;

fn table() -> Table {
    let column = |(name, kind): (&str, &str)| Column {
        name: name.to_owned(),
        type_name: kind.to_owned(),
        ty: ColumnType::parse(kind),
        has_default: false,
    };
    let columns = [("id", "UInt64"), ("small", "Nullable(Int8)"), ("name", "String"), ("at", "DateTime64(3)")];
    Table { columns: columns.map(column).into(), ..Table::named("d", "t") }
}

type Fields = (i64, Option<i64>, Option<&'static str>, &'static str);

fn json((id, small, name, at): &Fields) -> String {
    serde_json::json!({"id": id, "small": small, "name": name, "at": at}).to_string()
}

/// Records of the rows; every one in `removed` is followed by the deletion of its row.
fn chunk(rows: &[Fields], removed: &[i64], is_decoded: bool) -> SinkBatch {
    let (mut records, mut meta) = (Vec::new(), Vec::new());
    let mut push = |op, id: i64, value: Option<String>| {
        let offset = records.len() as i64;
        let position = Position::new(Lsn(1), records.len() as u64);
        let kind = RowKind::Insert;
        if value.is_some() {
            meta.push(RowMeta { kind, op, position, commit_us: 0, record: records.len() as u32 });
        }
        records.push(SinkRecord {
            offset: Offset(offset),
            timestamp_ms: 0,
            key: Some(Bytes::from(format!("{{\"id\":{id}}}"))),
            value: value.map(Bytes::from),
            headers: Arc::from([]),
            origin: Some(Origin { op, position, commit_us: 0, old: None }),
        });
    };
    for row in rows {
        push(Op::Create, row.0, Some(json(row)));
        if removed.contains(&row.0) {
            push(Op::Delete, row.0, None);
        }
    }
    let fields =
        [("id", DataType::Int64), ("small", DataType::Int64), ("name", DataType::Utf8), ("at", DataType::Utf8)];
    let schema = Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.3)).collect::<StringArray>()),
    ];
    let rows = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let columns = is_decoded.then(|| Arc::new(ChangelogBatch { rows, meta }));
    let partition = SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: Uuid::nil() };
    let last = Offset(records.len() as i64 - 1);
    let chunk = SinkChunk { base_offset: Offset(0), records: records.into(), columns };
    SinkBatch { partition, first: Offset(0), last, chunks: vec![chunk] }
}

const NOON: &str = "2025-08-23 12:00:00.123";

#[test]
fn columns_give_the_rows_of_their_texts() {
    let rows: [Fields; 5] = [
        (7, Some(1), Some("a"), NOON),
        (8, None, Some("ö"), NOON),
        (9, Some(-3), None, NOON),
        (3, None, Some(""), "1970-01-01 00:00:00.000"),
        (7, Some(2), Some("again"), NOON),
    ];
    let table = table();
    for (rows, removed) in [(&rows[..], &[][..]), (&rows, &[8]), (&rows[..2], &[]), (&rows[..1], &[7])] {
        let [one, other] = [true, false].map(|is_decoded| chunk(rows, removed, is_decoded));
        let [one, other] = [one, other].map(|batch| Rows::read(&table, &batch, false).unwrap());
        assert_eq!((&one.arrays, &one.actions, &one.offsets), (&other.arrays, &other.actions, &other.offsets));
        assert_eq!((&one.columns, &one.removed, &one.key), (&other.columns, &other.removed, &other.key));
    }
}

#[test]
fn of_a_record_that_does_not_fit_twice_the_first_column_is_told() {
    let rows: [Fields; 4] = [
        (1, Some(1), Some("a"), "noon"),
        (2, Some(1_000), Some("b"), "noon"),
        (3, Some(1), Some("c"), NOON),
        (-4, Some(5_000), Some("d"), NOON),
    ];
    let table = table();
    let refused = |is_decoded| {
        let error = Rows::read(&table, &chunk(&rows, &[], is_decoded), false).unwrap_err();
        let rejected = error.rejected().iter().map(|rejected| (rejected.offset.0, rejected.reason.clone()));
        rejected.collect::<Vec<_>>()
    };
    assert_eq!(refused(true), refused(false));
    let named = refused(true).into_iter().map(|(offset, reason)| (offset, reason.contains("column at")));
    assert_eq!(named.collect::<Vec<_>>(), [(0, true), (1, false), (3, false)]);
}

#[test]
fn rows_that_are_all_new_are_kept_as_they_come_and_others_folded() {
    let table = table();
    let fresh: [Fields; 3] = [(1, None, None, NOON), (2, None, None, NOON), (30, None, None, NOON)];
    let twice: [Fields; 3] = [(1, None, None, NOON), (30, None, None, NOON), (1, None, Some("later"), NOON)];
    let at_once: [Fields; 3] = [(1, None, None, NOON), (1, None, Some("later"), NOON), (2, None, None, NOON)];
    let kept = |rows: &[Fields], removed: &[i64]| {
        let rows = Rows::read(&table, &chunk(rows, removed, true), false).unwrap();
        let prepared = Prepared::fold(&table, rows, true).unwrap();
        let offsets: Vec<i64> = prepared.offsets.iter().map(|offset| offset.0).collect();
        (offsets, prepared.rows.num_rows(), prepared.deletes.len())
    };
    assert_eq!(kept(&fresh, &[]), (vec![0, 1, 2], 3, 0));
    assert_eq!(kept(&twice, &[]), (vec![1, 2], 2, 0));
    assert_eq!(kept(&at_once, &[]), (vec![1, 2], 2, 0));
    assert_eq!(kept(&fresh, &[2]), (vec![0, 3], 2, 1));
}
