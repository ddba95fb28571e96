//! Which values of a table can be TOASTed, and what identifies its rows and columns.
//!
//! PostgreSQL looks for values to store out of line only in a row of more than 2,032 bytes (or `toast_tuple_target`, if
//! that is less), and a value that it stores so is sent whole in the very change that does it. So a row that is surely
//! smaller has nothing that a later update could leave out, and costs one comparison here.
//!
//! "Surely" is about bytes on disk, and we see the wire. Text, bytea and json are as long in both; jsonb, arrays and
//! the like may be longer on disk, each by less than its factor in [`growth`].

use thm_api::{Lsn, Result};

use super::store::{Known, KnownColumn};
use crate::failure::from_sql;
use crate::pgoutput::{Datum, Relation, Tuple};
use crate::session::Session;

/// `TOAST_TUPLE_THRESHOLD` of 8 KiB pages.
const TOAST_THRESHOLD_BYTES: usize = 2032;
/// A value of at most this many bytes is never stored out of line: the pointer to it would be as long.
const TOAST_POINTER_BYTES: usize = 24;
/// Row header, and alignment of a column.
const HEADER_BYTES: usize = 24;
const ALIGNMENT_BYTES: usize = 8;

/// No column has this attribute number.
const UNKNOWN: u16 = 0;
/// A definition this many transactions ahead of a row is a later one; further ahead it is an old one whose number the
/// server's 32-bit counter has passed once around.
const LATER_TRANSACTIONS: u32 = 1 << 28;

/// What the catalog says of a table's storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStorage {
    /// File of its rows: a new one after each rewrite.
    pub filenode: u32,
    /// `toast_tuple_target`, where it is set.
    pub target_bytes: Option<usize>,
    /// End of the WAL when this was read.
    pub wal_end: Lsn,
    /// Replica identity: `d`, `n`, `f` or `i`.
    pub identity: u8,
    /// Columns in table order.
    pub columns: Vec<ColumnStorage>,
}

/// What the catalog says of a column's storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnStorage {
    /// Name.
    pub name: String,
    /// Attribute number: it stays when the column is renamed, and is never given again.
    pub attribute: u16,
    /// Transaction that last changed the column's definition.
    pub changed_by: u32,
    /// Its type's values may be stored out of line.
    pub toastable: bool,
    /// Part of the replica identity; of the primary key, where the identity is the whole row.
    pub identity: bool,
}

const STORAGE: &str = "SELECT c.relfilenode, c.relreplident::text, \
     (SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'toast_tuple_target'), \
     (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text, \
     a.attname::text, a.attnum, a.xmin::text, t.typstorage <> 'p', \
     coalesce(a.attnum = ANY (i.indkey::int2[]), false) \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     JOIN pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_index i ON i.indrelid = c.oid \
       AND CASE WHEN c.relreplident IN ('d', 'f') THEN i.indisprimary ELSE i.indisreplident END \
     WHERE c.oid = $1 ORDER BY a.attnum";

/// What the catalog says now. `None`: the table is gone.
pub async fn table_storage(session: &Session, relation: u32) -> Result<Option<TableStorage>> {
    let failed = |error| from_sql(error, "reading a table's storage", format!("relation {relation}"));
    let rows = session.query(STORAGE, &[&relation]).await.map_err(failed)?;
    let Some(first) = rows.first() else { return Ok(None) };
    let text = |column: usize| first.get::<_, Option<String>>(column).unwrap_or_default();
    let columns = rows.iter().map(|row| ColumnStorage {
        name: row.get(4),
        attribute: u16::try_from(row.get::<_, i16>(5)).unwrap_or_default(),
        changed_by: row.get::<_, String>(6).parse().unwrap_or_default(),
        toastable: row.get(7),
        identity: row.get(8),
    });
    Ok(Some(TableStorage {
        filenode: first.get(0),
        identity: text(1).bytes().next().unwrap_or(b'd'),
        target_bytes: first.get::<_, Option<i32>>(2).and_then(|bytes| usize::try_from(bytes).ok()),
        wal_end: text(3).parse().unwrap_or_default(),
        columns: columns.collect(),
    }))
}

/// One column that may be TOASTed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    index: usize,
    attribute: u16,
    type_oid: u32,
    growth: usize,
    distrusted: Lsn,
}

/// How rows of a table are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Oid.
    pub relation: u32,
    /// Index and attribute number of the replica identity's columns.
    identity: Vec<(usize, u16)>,
    kept: Vec<Kept>,
    columns: usize,
    threshold_bytes: usize,
    /// A row of fewer bytes on the wire has no value out of line.
    min_row_bytes: usize,
}

/// How many bytes on disk a byte on the wire may become, at most.
const fn growth(type_oid: u32) -> usize {
    match type_oid {
        // bytea, text, json, xml, character, varchar
        17 | 25 | 114 | 142 | 1042 | 1043 => 1,
        // numeric
        1700 => 2,
        // jsonb: `1, ` is three bytes on the wire and twelve on disk
        3802 => 5,
        _ => 8,
    }
}

impl Layout {
    /// `None`: no update of this table ever lacks a value: nothing of it can be TOASTed, or its rows have no identity
    /// (then it has no updates). While old rows come whole, rows are kept by their primary key all the same, for the
    /// identity may change back to it.
    #[must_use]
    pub fn new(relation: &Relation, storage: &TableStorage, known: &Known) -> Option<Self> {
        let column = |index: usize| known.columns.get(index);
        let of_catalog = |name: &str| storage.columns.iter().any(|column| column.name == name && column.identity);
        let identity: Vec<_> = (relation.columns.iter().enumerate())
            .filter(|(_, column)| if relation.identity == b'f' { of_catalog(&column.name) } else { column.identity })
            .filter_map(|(index, _)| Some((index, column(index)?.attribute)))
            .collect();
        let unknown = identity.iter().any(|(_, attribute)| *attribute == UNKNOWN);
        let kept: Vec<_> = (relation.columns.iter().enumerate())
            .filter(|(_, told)| storage.columns.iter().all(|stored| stored.name != told.name || stored.toastable))
            .filter_map(|(index, told)| {
                let KnownColumn { attribute, distrusted, .. } = *column(index)?;
                let growth = growth(told.type_oid);
                let kept = Kept { index, attribute, type_oid: told.type_oid, growth, distrusted };
                (attribute != UNKNOWN).then_some(kept)
            })
            .collect();
        if kept.is_empty() || identity.is_empty() || unknown {
            return None;
        }
        let threshold_bytes = storage.target_bytes.unwrap_or(usize::MAX).min(TOAST_THRESHOLD_BYTES);
        let columns = relation.columns.len();
        let fixed = HEADER_BYTES + columns.div_ceil(8) + columns * ALIGNMENT_BYTES;
        let most = kept.iter().map(|kept| kept.growth).max().unwrap_or(1);
        let min_row_bytes = threshold_bytes.saturating_sub(fixed) / most;
        Some(Self { relation: relation.oid, identity, kept, columns, threshold_bytes, min_row_bytes })
    }

    /// The row's identity: attribute numbers and values, so that another identity never gives the same bytes. A value
    /// that the row does not tell is taken from `other`. `None`: it is in neither.
    #[must_use]
    pub fn key(&self, row: &Tuple<'_>, other: Option<&Tuple<'_>>) -> Option<Box<[u8]>> {
        let mut key = Vec::with_capacity(32);
        for (index, attribute) in &self.identity {
            let mut datum = row.values().nth(*index)?;
            if datum == Datum::Unchanged {
                datum = other?.values().nth(*index)?;
            }
            let (Datum::Binary(bytes) | Datum::Text(bytes)) = datum else { return None };
            key.extend_from_slice(&attribute.to_be_bytes());
            key.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            key.extend_from_slice(bytes);
        }
        Some(key.into())
    }

    /// Whether the row may have a value out of line: one comparison.
    #[must_use]
    pub const fn may_be_large(&self, row: &Tuple<'_>) -> bool {
        row.byte_len() >= self.min_row_bytes || row.has_unchanged()
    }

    /// The columns of a row that may be TOASTed, each with whether its value may be out of line.
    pub fn cells<'a>(&'a self, row: &Tuple<'a>) -> impl Iterator<Item = KeptCell<'a>> {
        // An update that leaves a large value alone may push smaller ones out of line.
        let large = row.has_unchanged() || self.stored_bytes(row) >= self.threshold_bytes;
        let mut values = row.values().enumerate();
        self.kept.iter().filter_map(move |kept| {
            let (_, datum) = values.find(|(index, _)| *index == kept.index)?;
            let bytes = match datum {
                Datum::Binary(bytes) | Datum::Text(bytes) => bytes.len() * kept.growth + ALIGNMENT_BYTES,
                Datum::Null | Datum::Unchanged => 0,
            };
            Some(KeptCell {
                index: kept.index,
                attribute: kept.attribute,
                type_oid: kept.type_oid,
                distrusted: kept.distrusted,
                datum,
                large: large && bytes > TOAST_POINTER_BYTES,
            })
        })
    }

    /// Bytes on disk, at most, before anything is compressed or moved.
    fn stored_bytes(&self, row: &Tuple<'_>) -> usize {
        let mut growths = self.kept.iter().peekable();
        let fixed = HEADER_BYTES + self.columns.div_ceil(8);
        row.values().enumerate().fold(fixed, |sum, (index, datum)| {
            let growth = growths.next_if(|kept| kept.index == index).map_or(1, |kept| kept.growth);
            sum + match datum {
                Datum::Binary(bytes) | Datum::Text(bytes) => bytes.len() * growth + ALIGNMENT_BYTES,
                Datum::Null | Datum::Unchanged => 0,
            }
        })
    }
}

/// A value that may be TOASTed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptCell<'a> {
    /// Place of its column.
    pub index: usize,
    /// Attribute number of its column.
    pub attribute: u16,
    /// Type of its column.
    pub type_oid: u32,
    /// Versions at or below are not to be trusted.
    pub distrusted: Lsn,
    /// The value.
    pub datum: Datum<'a>,
    /// It may be out of line now.
    pub large: bool,
}

/// Joins what the stream, the catalog and the last meeting say of the columns' identity.
///
/// The stream tells names, and the catalog is that of now, not of the row's moment. So a number is only believed where
/// the names stand in its order; and where a name has another number than before, or is new with a definition later than
/// the rows, or its definition changed together with the table's file (a rewrite, `ALTER COLUMN … TYPE … USING`),
/// versions from before now are not trusted.
#[must_use]
pub fn recognise(
    relation: &Relation,
    storage: Option<&TableStorage>,
    before: Option<&Known>,
    xid: Option<u32>,
) -> Known {
    let truncated = before.map(|known| known.truncated).unwrap_or_default();
    let names = || relation.columns.iter().map(|column| column.name.as_str());
    let by_catalog = storage.and_then(|storage| {
        let find = |name| storage.columns.iter().find(|column| column.name == name);
        let found: Vec<_> = names().map(find).collect::<Option<_>>()?;
        found.is_sorted_by(|a, b| a.attribute < b.attribute).then_some(found)
    });
    let of_before = |name: &str| before.and_then(|known| known.columns.iter().find(|column| column.name == name));
    let Some(found) = by_catalog else {
        // Dropped, or changed again since: what was known is as good as it gets. A new name in an old one's place is the
        // same column; should it be a new one after all, no row leaves out its value before it has told it once.
        let vanished = |other: &&KnownColumn| names().all(|name| name != other.name);
        let in_place = |index: usize| {
            before.filter(|known| known.columns.len() == relation.columns.len())?.columns.get(index).filter(vanished)
        };
        let column = |(index, name): (usize, &str)| {
            let found = of_before(name).or_else(|| in_place(index)).cloned().unwrap_or_default();
            KnownColumn { name: name.to_owned(), ..found }
        };
        let columns = names().enumerate().map(column);
        let filenode = before.map(|known| known.filenode).unwrap_or_default();
        return Known { filenode, columns: columns.collect(), truncated };
    };
    let (filenode, now) = storage.map(|storage| (storage.filenode, storage.wal_end)).unwrap_or_default();
    let rewritten = before.is_some_and(|known| known.filenode != filenode);
    let columns = found.iter().map(|column| {
        let mut distrusted = Lsn(0);
        let by_number = before.and_then(|known| known.columns.iter().find(|other| other.attribute == column.attribute));
        if let Some(other) = by_number {
            distrusted = other.distrusted;
            if rewritten && other.changed_by != column.changed_by {
                distrusted = now;
            }
        }
        let ahead = xid.map_or(0, |xid| column.changed_by.wrapping_sub(xid));
        match of_before(&column.name) {
            Some(other) if other.attribute == column.attribute => {}
            None if !(1..LATER_TRANSACTIONS).contains(&ahead) => {}
            _ => distrusted = now,
        }
        KnownColumn {
            name: column.name.clone(),
            attribute: column.attribute,
            changed_by: column.changed_by,
            distrusted,
        }
    });
    Known { filenode, columns: columns.collect(), truncated }
}
