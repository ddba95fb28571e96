//! What the catalog says of types: those of a table's columns, and all that they are made of.

use std::collections::HashMap;
use std::sync::Arc;

use thm_api::Result;

use crate::failure::from_sql;
use crate::session::Session;
use crate::types::{Kind, PgType, Types};

/// The types and, again and again, the types in them.
const TYPES: &str = "WITH RECURSIVE wanted(oid) AS ( \
       SELECT unnest($1::oid[]) \
       UNION \
       SELECT part.oid FROM wanted w JOIN pg_type t ON t.oid = w.oid \
       CROSS JOIN LATERAL ( \
         SELECT t.typbasetype WHERE t.typtype = 'd' \
         UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND t.typlen = -1 \
         UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid \
         UNION ALL SELECT r.rngtypid FROM pg_range r WHERE t.typtype = 'm' AND r.rngmultitypid = t.oid \
         UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid \
           AND a.attnum > 0 AND NOT a.attisdropped \
       ) part(oid)) \
     SELECT t.oid, t.typname::text, t.typtype::text, t.typelem, t.typbasetype, t.typtypmod, t.typsend <> 0, \
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), \
       (SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid), \
       (SELECT r.rngtypid FROM pg_range r WHERE t.typtype = 'm' AND r.rngmultitypid = t.oid), \
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a \
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
       (SELECT array_agg(a.atttypid ORDER BY a.attnum) FROM pg_attribute a \
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
       (SELECT array_agg(a.atttypmod ORDER BY a.attnum) FROM pg_attribute a \
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
       t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0 \
     FROM wanted w JOIN pg_type t ON t.oid = w.oid";

/// What the oids of `pg_class` and its like are called, by the type that refers to them.
const OBJECTS: [(u32, &str); 6] = [
    (24, "SELECT oid, oid::regproc::text FROM pg_proc"),
    (2202, "SELECT oid, oid::regprocedure::text FROM pg_proc"),
    (2205, "SELECT oid, oid::regclass::text FROM pg_class"),
    (2206, "SELECT oid, oid::regtype::text FROM pg_type"),
    (4089, "SELECT oid, oid::regnamespace::text FROM pg_namespace"),
    (4096, "SELECT oid, oid::regrole::text FROM pg_roles"),
];

/// Types of columns and everything in them.
pub async fn types(session: &Session, oids: &[u32]) -> Result<Types> {
    let failed = |error| from_sql(error, "reading types", "pg_type");
    let rows = session.query(TYPES, &[&oids]).await.map_err(failed)?;
    let mut by_oid = HashMap::with_capacity(rows.len());
    for row in &rows {
        let kind = match row.get::<_, String>(2).as_str() {
            "d" => Kind::Domain(row.get(4), row.get(5)),
            "e" => Kind::Enum(row.get::<_, Option<Vec<String>>>(7).unwrap_or_default()),
            "r" => row.get::<_, Option<u32>>(8).map_or(Kind::Base, Kind::Range),
            "m" => row.get::<_, Option<u32>>(9).map_or(Kind::Base, Kind::Multirange),
            "c" => {
                let names: Vec<String> = row.get::<_, Option<_>>(10).unwrap_or_default();
                let oids: Vec<u32> = row.get::<_, Option<_>>(11).unwrap_or_default();
                let modifiers: Vec<i32> = row.get::<_, Option<_>>(12).unwrap_or_default();
                Kind::Composite(names.into_iter().zip(oids).zip(modifiers).map(|((n, o), m)| (n, o, m)).collect())
            }
            _ if row.get::<_, bool>(13) => Kind::Array(row.get(3)),
            _ => Kind::Base,
        };
        by_oid.insert(row.get(0), PgType { name: row.get(1), kind, has_binary: row.get(6) });
    }
    let mut objects = HashMap::new();
    for (_, sql) in OBJECTS.iter().filter(|(oid, _)| by_oid.contains_key(oid)) {
        for row in session.query(*sql, &[]).await.map_err(failed)? {
            objects.insert(row.get(0), row.get(1));
        }
    }
    Ok(Types { by_oid, objects: Arc::new(objects) })
}
