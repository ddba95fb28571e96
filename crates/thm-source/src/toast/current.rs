//! What the database says now of a row whose value the store lacks, and whether that is the row's version.
//!
//! A row version carries the transaction that made it. If the version that the database has now was made by the very
//! transaction of the change, and that transaction does not touch the row again after it, then it is the version of the
//! change, and its values are the row's. A version of a savepoint carries another number and proves nothing.

use bytes::BytesMut;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use thm_api::Result;

use super::Hydrator;
use crate::failure::from_sql;
use crate::pgoutput::{Datum, Message, Relation, Tuple};
use crate::session::{Session, identifier};

/// What the database has of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Transaction that made this version.
    pub made_by: u32,
    /// Values asked for, by index, in binary form.
    pub values: Vec<(usize, Option<Vec<u8>>)>,
}

/// Reads `columns` (by index) of the row that has `row`'s identity. `None`: there is no such row now, or it cannot be
/// asked for.
pub async fn read_current(
    session: &Session,
    relation: &Relation,
    row: &Tuple<'_>,
    columns: &[usize],
) -> Result<Option<Current>> {
    let named = |index: usize| relation.columns.get(index).map(|column| identifier(&column.name));
    let Some(wanted) = columns.iter().map(|index| named(*index)).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for ((index, column), datum) in relation.columns.iter().enumerate().zip(row.values()) {
        if column.identity {
            let Datum::Binary(bytes) = datum else { return Ok(None) };
            values.push(Raw(bytes.to_vec()));
            conditions.push(format!("{} = ${}", named(index).unwrap_or_default(), values.len()));
        }
    }
    if values.is_empty() {
        return Ok(None);
    }
    let (schema, table) = (identifier(&relation.schema), identifier(&relation.name));
    let sql =
        format!("SELECT xmin::text, {} FROM {schema}.{table} WHERE {}", wanted.join(", "), conditions.join(" AND "));
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    let found = session.query(&sql, &parameters).await;
    let object = || format!("{}.{}", relation.schema, relation.name);
    let found = found.map_err(|error| from_sql(error, "reading a row's present values", object()))?;
    let [found] = found.as_slice() else { return Ok(None) };
    let values =
        columns.iter().zip(1..).map(|(index, place)| (*index, found.get::<_, Option<Raw>>(place).map(|raw| raw.0)));
    let made_by: String = found.get(0);
    Ok(Some(Current { made_by: made_by.parse().unwrap_or_default(), values: values.collect() }))
}

/// Whether no message of the same transaction after a row's own touches the row again, or the table's columns.
pub fn stays<'a>(
    hydrator: &Hydrator,
    relation: u32,
    key: &[u8],
    mut following: impl Iterator<Item = &'a [u8]>,
) -> bool {
    let is =
        |row: &Tuple<'_>, other: Option<&Tuple<'_>>| hydrator.key(relation, row, other).is_none_or(|it| *it == *key);
    following.all(|bytes| match Message::decode(bytes) {
        Ok(Message::Insert { relation: of, new }) => of != relation || !is(&new, None),
        Ok(Message::Delete { relation: of, old: (_, old) }) => of != relation || !is(&old, None),
        Ok(Message::Update { relation: of, old, new }) => {
            let old = old.as_ref().map(|(_, old)| old);
            of != relation || !(is(&new, old) || old.is_some_and(|old| is(old, None)))
        }
        Ok(Message::Relation(changed)) => changed.oid != relation,
        Ok(Message::Truncate { .. }) | Err(_) => false,
        Ok(_) => true,
    })
}

/// A value of any type in its binary form, untouched.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
