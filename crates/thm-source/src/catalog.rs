//! What the source asks PostgreSQL's catalog: server, slot, publication, tables.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use thm_api::{Error, ErrorKind, Lsn, Result};
use tokio_postgres::{Row, SimpleQueryMessage, SimpleQueryRow};

use crate::copy::CopyReader;
use crate::failure::from_sql;
use crate::pgoutput::{Datum, Relation, RelationColumn};
use crate::session::{Session, identifier, literal};
use crate::slot::PublicationMark;
use crate::table::{ColumnDefault, ColumnFacts, TableFacts};

mod types;

pub use types::types;

/// What must be known of the server before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`
    pub version: i32,
    /// `wal_level`
    pub wal_level: String,
    /// The user may replicate.
    pub may_replicate: bool,
    /// Identity of the cluster; 0 where the user may not ask.
    pub system_id: i64,
    /// End of its WAL.
    pub wal_end: Lsn,
    /// Its timeline; 0 on a standby.
    pub timeline: u32,
}

/// A slot as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// `pgoutput` or another.
    pub plugin: String,
    /// Its database.
    pub database: String,
    /// Process that uses it.
    pub active_pid: Option<i32>,
    /// Who that is: application, user, address.
    pub holder: Option<String>,
    /// Everything before it was acknowledged.
    pub confirmed_flush: Lsn,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// Standbys keep it in step.
    pub failover: bool,
    /// It came here from the primary that this server followed.
    pub synced: bool,
}

/// A table that could be captured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Oid.
    pub oid: u32,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A publication as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// `FOR ALL TABLES`
    pub all_tables: bool,
    /// It publishes inserts, updates and deletes, and not only some of these.
    pub publishes_rows: bool,
    /// Its tables as `schema.table`.
    pub tables: BTreeSet<String>,
}

async fn rows(session: &Session, doing: &'static str, sql: &str) -> Result<Vec<SimpleQueryRow>> {
    let messages = session.simple_query(sql).await.map_err(|error| from_sql(error, doing, "catalog"))?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn text(row: &SimpleQueryRow, column: usize) -> String {
    row.get(column).unwrap_or_default().to_owned()
}

fn lsn(text: &str) -> Lsn {
    text.parse().unwrap_or_default()
}

/// Version, settings and identity of the server.
pub async fn server(session: &Session) -> Result<Server> {
    let sql = "SELECT current_setting('server_version_num'), current_setting('wal_level'), \
               (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), \
               (SELECT system_identifier FROM pg_control_system()), \
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, \
               CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
    let found = rows(session, "asking for the server's settings", sql).await?;
    let row =
        found.first().ok_or_else(|| Error::new(ErrorKind::Internal, "asking for the server's settings", "no row"))?;
    Ok(Server {
        version: text(row, 0).parse().unwrap_or_default(),
        wal_level: text(row, 1),
        may_replicate: text(row, 2) == "t",
        system_id: text(row, 3).parse().unwrap_or_default(),
        wal_end: lsn(&text(row, 4)),
        timeline: u32::from_str_radix(&text(row, 5), 16).unwrap_or_default(),
    })
}

/// The slot of that name.
pub async fn slot(session: &Session, name: &str) -> Result<Option<Slot>> {
    let sql = format!(
        "SELECT s.plugin, s.database, s.active_pid, s.confirmed_flush_lsn, s.wal_status, \
         concat_ws(', ', nullif(a.application_name, ''), 'user ' || a.usename, 'from ' || coalesce(host(a.client_addr), 'a local socket')), \
         to_jsonb(s) ->> 'failover', to_jsonb(s) ->> 'synced' \
         FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = {}",
        literal(name)
    );
    let found = rows(session, "asking for the slot", &sql).await?;
    Ok(found.first().map(|row| Slot {
        plugin: text(row, 0),
        database: text(row, 1),
        active_pid: text(row, 2).parse().ok(),
        holder: Some(text(row, 5)).filter(|holder| !holder.is_empty()),
        confirmed_flush: lsn(&text(row, 3)),
        wal_status: text(row, 4),
        // Columns since release 17.
        failover: text(row, 6) == "true",
        synced: text(row, 7) == "true",
    }))
}

/// What the server keeps for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Bytes of WAL.
    pub bytes: i64,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
}

/// How much WAL the slot of that name keeps.
pub async fn retained(session: &Session, name: &str) -> Result<Option<Retained>> {
    let sql = format!(
        "SELECT pg_current_wal_lsn() - restart_lsn, wal_status FROM pg_replication_slots WHERE slot_name = {}",
        literal(name)
    );
    let found = rows(session, "asking for the slot", &sql).await?;
    let row =
        |row: &SimpleQueryRow| Retained { bytes: text(row, 0).parse().unwrap_or_default(), wal_status: text(row, 1) };
    Ok(found.first().map(row))
}

/// Largest table whose rows are counted; of a larger one the planner's estimate must do. Reading so much takes no
/// time beside its `COPY`.
const DEFAULT_COUNTED_BYTES: u32 = 64 << 20;

/// About how many rows a table has; `None` if nobody knows.
pub async fn expected_rows(session: &Session, table: &TableName) -> Result<Option<u64>> {
    let doing = "asking for a table's size";
    let sql = format!(
        "SELECT pg_relation_size(oid) <= {DEFAULT_COUNTED_BYTES}, reltuples::bigint FROM pg_class WHERE oid = {}",
        table.oid
    );
    let found = rows(session, doing, &sql).await?;
    let Some(row) = found.first() else { return Ok(None) };
    if text(row, 0) != "t" {
        return Ok(text(row, 1).parse().ok().filter(|estimate| *estimate > 0));
    }
    let place = format!("{}.{}", identifier(&table.schema), identifier(&table.name));
    let found = rows(session, doing, &format!("SELECT count(*) FROM ONLY {place}")).await.map_err(|error| {
        let error = error.with_object(table.to_string());
        match error.kind() {
            ErrorKind::SourceDenied => error.with_hint(format!(
                "Give the connector's user the right: GRANT SELECT ON {place} TO …; and USAGE on schema {}.",
                identifier(&table.schema)
            )),
            _ => error,
        }
    })?;
    Ok(found.first().and_then(|row| text(row, 0).parse().ok()))
}

/// Drops a slot that nobody uses.
pub async fn drop_slot(session: &Session, name: &str) -> Result<()> {
    let sql = format!("SELECT pg_drop_replication_slot({})", literal(name));
    let dropped = session.simple_query(&sql).await;
    dropped.map(drop).map_err(|error| from_sql(error, "dropping the slot", name))
}

/// The publication of that name.
pub async fn publication(session: &Session, name: &str) -> Result<Option<Publication>> {
    let name = literal(name);
    let doing = "asking for the publication";
    let sql = format!(
        "SELECT puballtables, pubinsert AND pubupdate AND pubdelete FROM pg_publication WHERE pubname = {name}"
    );
    let found = rows(session, doing, &sql).await?;
    let Some(row) = found.first() else { return Ok(None) };
    // A partitioned table's rows come by way of its partitions, or the other way round.
    let sql = format!(
        "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = {name} \
         UNION SELECT n.nspname, c.relname FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname \
         JOIN pg_class m ON m.relname = t.tablename JOIN pg_namespace s ON s.oid = m.relnamespace AND s.nspname = t.schemaname \
         CROSS JOIN LATERAL (SELECT relid FROM pg_partition_ancestors(m.oid) a(relid) \
           UNION SELECT relid FROM pg_partition_tree(m.oid)) r \
         JOIN pg_class c ON c.oid = r.relid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.pubname = {name}"
    );
    let tables = rows(session, doing, &sql).await?;
    Ok(Some(Publication {
        all_tables: text(row, 0) == "t",
        publishes_rows: text(row, 1) == "t",
        tables: tables.iter().map(|row| format!("{}.{}", text(row, 0), text(row, 1))).collect(),
    }))
}

/// The identity of a publication and of its tables' memberships; `None`: it does not exist.
pub async fn publication_mark(session: &Session, name: &str) -> Result<Option<PublicationMark>> {
    let sql = format!(
        "SELECT p.oid, r.oid, n.nspname || '.' || c.relname FROM pg_publication p \
         LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid LEFT JOIN pg_class c ON c.oid = r.prrelid \
         LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = {}",
        literal(name)
    );
    let found = rows(session, "asking for the publication", &sql).await?;
    let Some(first) = found.first() else { return Ok(None) };
    let member = |row: &SimpleQueryRow| Some((text(row, 2), text(row, 1).parse().ok()?));
    let tables = found.iter().filter_map(member).collect();
    Ok(Some(PublicationMark { oid: text(first, 0).parse().unwrap_or_default(), tables }))
}

/// All permanent tables of users' schemas, partitioned ones and partitions among them, by name.
pub async fn tables(session: &Session) -> Result<Vec<TableName>> {
    let sql = "SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
               AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 1, 2";
    let found = rows(session, "listing tables", sql).await?;
    let name = |row: &SimpleQueryRow| TableName {
        schema: text(row, 0),
        name: text(row, 1),
        oid: text(row, 2).parse().unwrap_or_default(),
    };
    Ok(found.iter().map(name).collect())
}

/// What identifies a table's rows in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableIdentity {
    /// The table.
    pub table: TableName,
    /// `d`, `n`, `f` or `i`.
    pub kind: u8,
    /// Name of the index, for `i`.
    pub index: Option<String>,
    /// It has a primary key.
    pub has_primary_key: bool,
}

/// Replica identities of tables, in their order; without those that are gone.
pub async fn identities(session: &Session, tables: &[TableName]) -> Result<Vec<TableIdentity>> {
    let sql = "SELECT c.oid, c.relreplident::text, \
               (SELECT n.relname::text FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid \
                WHERE i.indrelid = c.oid AND i.indisreplident), \
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) \
               FROM pg_class c WHERE c.oid = ANY($1)";
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let failed = |error| from_sql(error, "asking for replica identities", "catalog");
    let found = session.query(sql, &[&oids]).await.map_err(failed)?;
    let of = |table: &TableName| {
        let row = found.iter().find(|row| row.get::<_, u32>(0) == table.oid)?;
        let kind = row.get::<_, String>(1).bytes().next().unwrap_or_default();
        Some(TableIdentity { table: table.clone(), kind, index: row.get(2), has_primary_key: row.get(3) })
    };
    Ok(tables.iter().filter_map(of).collect())
}

/// What a publication has of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Condition on its rows.
    pub filter: Option<String>,
    /// Names of its columns; `None` before PostgreSQL 15, which publishes all.
    pub columns: Option<Vec<String>>,
}

/// What the publication has of the table; `None`: nothing by that name.
pub async fn published(session: &Session, publication: &str, table: &TableName) -> Result<Option<Published>> {
    // Older servers do not have these columns, and their JSON does not either.
    let sql = "SELECT to_jsonb(p) ->> 'rowfilter', \
               CASE WHEN to_jsonb(p) ? 'attnames' THEN ARRAY(SELECT jsonb_array_elements_text(to_jsonb(p) -> 'attnames')) END \
               FROM pg_publication_tables p WHERE pubname = $1 AND schemaname = $2 AND tablename = $3";
    let found = session.query_opt(sql, &[&publication, &table.schema, &table.name]).await;
    let found = found.map_err(|error| from_sql(error, "asking what is published of a table", table.to_string()))?;
    Ok(found.map(|row| Published { filter: row.get(0), columns: row.get(1) }))
}

/// Whether the table is partitioned.
pub async fn is_partitioned(session: &Session, oid: u32) -> Result<bool> {
    let sql = format!("SELECT relkind = 'p' FROM pg_class WHERE oid = {oid}");
    let found = rows(session, "asking for a table's kind", &sql).await?;
    Ok(found.first().is_some_and(|row| text(row, 0) == "t"))
}

/// Foreign keys as (referencing, referenced) oids, self-references left out.
pub async fn foreign_keys(session: &Session) -> Result<Vec<(u32, u32)>> {
    let sql = "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid";
    let found = rows(session, "listing foreign keys", sql).await?;
    Ok(found.iter().filter_map(|row| Some((text(row, 0).parse().ok()?, text(row, 1).parse().ok()?))).collect())
}

const COLUMNS: &str = "SELECT a.attname::text, a.atttypid, a.atttypmod, a.attnotnull, t.typname::text, \
     t.typtype = 'd', format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), \
     col_description(a.attrelid, a.attnum), a.attgenerated <> '' \
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = '' \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Primary key first, then unique indexes over plain columns by name: the first of them is the key.
const KEY: &str = "SELECT (SELECT array_agg(a.attname::text ORDER BY k.place) \
     FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place) \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts) \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
     WHERE i.indrelid = $1 AND i.indisvalid AND i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL \
     ORDER BY i.indisprimary DESC, c.relname LIMIT 1";

/// What the catalog says of a table now, and the table as a relation message would tell it. `None`: it is gone.
pub async fn table(session: &Session, name: &TableName) -> Result<Option<(Relation, TableFacts)>> {
    let failed = |error| from_sql(error, "reading a table's definition", name.to_string());
    let columns = session.query(COLUMNS, &[&name.oid]).await.map_err(failed)?;
    if columns.is_empty() {
        return Ok(None);
    }
    let key = session.query_opt(KEY, &[&name.oid]).await.map_err(failed)?;
    let key: Vec<String> = key.and_then(|row| row.get::<_, Option<Vec<String>>>(0)).unwrap_or_default();
    let oids: Vec<u32> = columns.iter().map(|row| row.get(1)).collect();
    let types = types::types(session, &oids).await?;
    let mut facts = TableFacts { key, columns: Vec::with_capacity(columns.len()), types };
    let mut relation = Relation {
        oid: name.oid,
        schema: name.schema.clone(),
        name: name.name.clone(),
        identity: b'd',
        columns: Vec::with_capacity(columns.len()),
    };
    for row in &columns {
        let column = column_facts(session, row).await?;
        relation.columns.push(RelationColumn {
            identity: facts.key.contains(&column.name),
            name: column.name.clone(),
            type_oid: row.get(1),
            type_modifier: row.get(2),
        });
        facts.columns.push(column);
    }
    Ok(Some((relation, facts)))
}

async fn column_facts(session: &Session, row: &Row) -> Result<ColumnFacts> {
    let default: Option<String> = row.get(7);
    let found = match default.as_deref() {
        Some(text) if is_literal(text) => {
            evaluate(session, text, row.get(6)).await?.map_or(ColumnDefault::None, ColumnDefault::Literal)
        }
        Some(text) if is_call(text) => ColumnDefault::Call,
        _ => ColumnDefault::None,
    };
    let mut type_name: String = row.get(4);
    if default.is_some_and(|text| text.starts_with("nextval(")) {
        type_name = match type_name.as_str() {
            "int2" => "smallserial".to_owned(),
            "int4" => "serial".to_owned(),
            "int8" => "bigserial".to_owned(),
            _ => type_name,
        };
    }
    Ok(ColumnFacts {
        name: row.get(0),
        not_null: row.get(3),
        type_name,
        is_domain: row.get(5),
        default: found,
        comment: row.get(8),
    })
}

/// Whether a default is a call, for which Debezium shows the type's zero.
fn is_call(default: &str) -> bool {
    const WITHOUT_PARENTHESES: [&str; 5] =
        ["current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"];
    let text = default.strip_prefix('(').unwrap_or(default);
    let name = text.find('(').map(|at| &text[..at]);
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
    WITHOUT_PARENTHESES.iter().any(|word| default.eq_ignore_ascii_case(word))
        || name.is_some_and(|name| plain(name) && text.contains(')'))
}

/// Whether a default is a constant: a number, a boolean, or a quoted text with at most a cast.
fn is_literal(default: &str) -> bool {
    let number = default.strip_prefix('-').unwrap_or(default);
    if matches!(default, "true" | "false")
        || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    {
        return true;
    }
    // Bit strings are `B'101'::"bit"`, negative numbers `'-1'::integer` or `(-1)`.
    let inner = default.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if inner.is_some_and(|inner| inner.starts_with('-') && !inner.contains(' ')) {
        return true;
    }
    let quoted = default.strip_prefix('B').unwrap_or(default);
    let Some(quoted) = quoted.strip_prefix('\'') else { return false };
    let closing = quoted.replace("\'\'", "  ").find('\'');
    let rest = closing.map_or("x", |at| &quoted[at + 1..]);
    rest.is_empty() || rest.strip_prefix("::").is_some_and(|cast| !cast.contains(['\'', '|', '+', ';']))
}

/// The binary form of a constant, as the server makes it.
async fn evaluate(session: &Session, constant: &str, type_name: &str) -> Result<Option<Vec<u8>>> {
    // What a constant of fixed length is filled up with is not part of the default that Debezium shows.
    let type_name = if type_name.starts_with("character(") { "bpchar" } else { type_name };
    let sql = format!("COPY (SELECT CAST({constant} AS {type_name})) TO STDOUT (FORMAT binary)");
    let failed = |error| from_sql(error, "reading a column's default", constant.to_owned());
    let Ok(stream) = session.copy_out(&sql).await else { return Ok(None) };
    let mut reader = CopyReader::default();
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.try_next().await.map_err(failed)? {
        reader.push(&chunk);
    }
    let row = reader.next_row().ok().flatten();
    let value = row.and_then(|row| {
        row.tuple().values().next().map(|datum| match datum {
            Datum::Binary(bytes) => Some(bytes.to_vec()),
            _ => None,
        })
    });
    Ok(value.flatten())
}

/// Captured tables with those that others reference first; within a level, and in a ring of references, by name.
#[must_use]
pub fn snapshot_order(tables: &[TableName], references: &[(u32, u32)], first: &[String]) -> Vec<TableName> {
    let mut left: BTreeMap<u32, &TableName> = tables.iter().map(|table| (table.oid, table)).collect();
    let mut ordered: Vec<TableName> = Vec::with_capacity(tables.len());
    for name in first {
        if let Some(table) = tables.iter().find(|table| table.to_string() == *name) {
            left.remove(&table.oid);
            ordered.push(table.clone());
        }
    }
    while !left.is_empty() {
        let waits = |oid: u32| references.iter().any(|(from, to)| *from == oid && left.contains_key(to));
        let mut ready: Vec<&TableName> = left.values().copied().filter(|table| !waits(table.oid)).collect();
        if ready.is_empty() {
            ready.extend(left.values().copied());
        }
        ready.sort();
        for table in &ready {
            left.remove(&table.oid);
        }
        ordered.extend(ready.into_iter().cloned());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_expressions() {
        for text in ["42", "-1.5", "true", "'it''s'::text", "'2020-01-01 00:00:00+00'::timestamp with time zone", "''"]
        {
            assert!(is_literal(text), "{text}");
        }
        for text in ["now()", "(1 + 1)", "nextval('s'::regclass)", "'a'::text || 'b'::text", "gen_random_uuid()", ""] {
            assert!(!is_literal(text), "{text}");
        }
        for text in
            ["now()", "nextval('s'::regclass)", "gen_random_uuid()", "CURRENT_DATE", "(now() - '1 day'::interval)"]
        {
            assert!(is_call(text), "{text}");
        }
        assert!(!is_call("(1 + 1)") && !is_call("'a(b)'::text") && !is_call("NULL::text"));
    }

    #[test]
    fn referenced_tables_come_first() {
        let table = |name: &str, oid| TableName { schema: "public".to_owned(), name: name.to_owned(), oid };
        let tables = [table("a_events", 1), table("content", 2), table("author", 3)];
        let names = |order: Vec<TableName>| order.into_iter().map(|table| table.name).collect::<Vec<_>>();
        let order = snapshot_order(&tables, &[(1, 2), (2, 3), (1, 99)], &[]);
        assert_eq!(names(order), ["author", "content", "a_events"]);
        let ring = snapshot_order(&tables, &[(1, 2), (2, 1)], &[]);
        assert_eq!(names(ring), ["author", "a_events", "content"]);
        let wished = snapshot_order(&tables, &[(1, 2)], &["public.a_events".to_owned()]);
        assert_eq!(names(wished), ["a_events", "author", "content"]);
    }
}
