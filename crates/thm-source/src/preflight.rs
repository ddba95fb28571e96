//! What must be right before a slot is touched: server, rights, tables, publication.

use thm_api::{Error, ErrorKind, Result};

use crate::catalog::{self, Publication, Server, TableName};
use crate::failure::from_sql;
use crate::options::{Autocreate, Options};
use crate::session::{Session, identifier};
use crate::slot::PublicationMark;

/// `server_version_num` of the first release with slots that standbys keep in step.
const FAILOVER_SLOTS: i32 = 170_000;
/// Most tables named in one error.
const MAX_NAMED_TABLES: usize = 10;

/// The server can and the user may replicate.
pub async fn check_server(session: &Session, options: &Options) -> Result<Server> {
    let server = catalog::server(session).await?;
    let object = format!("{}:{}/{}", options.host, options.port, options.database);
    if server.wal_level != "logical" {
        let error = Error::new(ErrorKind::SourceNotLogical, "checking the server", object);
        return Err(error.with_source(format!("wal_level is {}", server.wal_level)));
    }
    if !server.may_replicate {
        let error = Error::new(ErrorKind::SourceDenied, "checking the server", object)
            .with_source(format!("user {} has no REPLICATION right", options.user))
            .with_hint(format!("Run as a superuser: ALTER ROLE {} REPLICATION;", identifier(&options.user)));
        return Err(error);
    }
    if options.failover && server.version < FAILOVER_SLOTS {
        let error = Error::new(ErrorKind::InvalidConfig, "checking the server", "slot.failover");
        return Err(error
            .with_source(format!("{object} is release {}", server.version / 10_000))
            .with_hint("Slots that standbys keep in step need PostgreSQL 17: leave slot.failover out."));
    }
    Ok(server)
}

/// The captured tables that exist. One that is named in full and does not exist is told of in the log.
pub async fn captured_tables(session: &Session, options: &Options, named: &[String]) -> Result<Vec<TableName>> {
    let existing = catalog::tables(session).await?;
    let missing: Vec<&str> = (named.iter())
        .filter(|name| !existing.iter().any(|table| table.to_string().eq_ignore_ascii_case(name)))
        .map(String::as_str)
        .collect();
    // It may be created later: the publication of all tables has it then.
    if !missing.is_empty() {
        let tables = missing.join(", ");
        tracing::warn!(tables, database = options.database, "tables of table.include.list are not there");
    }
    Ok(existing.into_iter().filter(|table| options.filter.includes(&table.schema, &table.name)).collect())
}

/// The publication holds every captured table and publishes rows. `before` is how it was when the slot was last read;
/// without that, it is made if it is not there. With `filtered` it is given the tables that it lacks, unless it had them
/// before: their changes since are lost.
pub async fn check_publication(
    session: &Session,
    options: &Options,
    tables: &[TableName],
    before: Option<&PublicationMark>,
) -> Result<()> {
    let name = &options.publication;
    match catalog::publication(session, name).await? {
        Some(publication) => {
            let lacking = lacking(&publication, tables);
            let had = |table: &TableName| before.is_some_and(|mark| mark.tables.contains_key(&table.to_string()));
            match options.autocreate {
                Autocreate::Filtered if !lacking.is_empty() && !lacking.iter().any(had) => {
                    add_tables(session, name, &lacking).await
                }
                _ => compare(&publication, options, &lacking),
            }
        }
        None if options.autocreate == Autocreate::Disabled => {
            let error = Error::new(ErrorKind::CaptureMismatch, "looking for the publication", name);
            Err(error.with_source("it does not exist and publication.autocreate.mode is disabled").with_hint(format!(
                "Run: CREATE PUBLICATION {} FOR TABLE {};",
                identifier(name),
                sql_list(tables)
            )))
        }
        None if before.is_some() => Ok(()),
        None => create_publication(session, options, tables).await,
    }
}

/// Captured tables that the publication does not have.
pub fn lacking(publication: &Publication, tables: &[TableName]) -> Vec<TableName> {
    let lacks = |table: &&TableName| !publication.all_tables && !publication.tables.contains(&table.to_string());
    tables.iter().filter(lacks).cloned().collect()
}

async fn add_tables(session: &Session, name: &str, lacking: &[TableName]) -> Result<()> {
    let sql = format!("ALTER PUBLICATION {} ADD TABLE {}", identifier(name), sql_list(lacking));
    session.batch_execute(&sql).await.map_err(|error| {
        from_sql(error, "adding tables to the publication", name)
            .with_hint(format!("Run as the publication's and the tables' owner: {sql};"))
    })?;
    tracing::info!(publication = name, tables = named(lacking.iter().map(TableName::to_string)), "added tables");
    Ok(())
}

fn compare(publication: &Publication, options: &Options, lacking: &[TableName]) -> Result<()> {
    let name = &options.publication;
    if !publication.publishes_rows {
        tracing::warn!(
            publication = name,
            "publication leaves out inserts, updates or deletes, and so does the source"
        );
    }
    if lacking.is_empty() {
        return Ok(());
    }
    if options.autocreate == Autocreate::NoTables {
        let tables = named(lacking.iter().map(TableName::to_string));
        tracing::warn!(
            publication = name,
            tables,
            "publication does not have these tables yet: changes of them are not sent"
        );
        return Ok(());
    }
    Err(without(publication, name, lacking))
}

/// The publication lacks tables.
pub fn without(publication: &Publication, name: &str, lacking: &[TableName]) -> Error {
    let names = named(lacking.iter().map(TableName::to_string));
    let error = Error::new(ErrorKind::CaptureMismatch, "comparing the publication", format!("{name}: without {names}"));
    error.with_source(format!("it publishes {}", named(publication.tables.iter().cloned()))).with_hint(format!(
        "Run: ALTER PUBLICATION {} ADD TABLE {}; or correct table.include.list.",
        identifier(name),
        sql_list(lacking)
    ))
}

async fn create_publication(session: &Session, options: &Options, tables: &[TableName]) -> Result<()> {
    let name = &options.publication;
    let what = match options.autocreate {
        Autocreate::Filtered if tables.is_empty() => {
            let error = Error::new(ErrorKind::CaptureMismatch, "creating the publication", name);
            return Err(error.with_source("table.include.list matches no table"));
        }
        Autocreate::Filtered => format!(" FOR TABLE {}", sql_list(tables)),
        Autocreate::NoTables => String::new(),
        _ => " FOR ALL TABLES".to_owned(),
    };
    let root = if options.partition_root { " WITH (publish_via_partition_root = true)" } else { "" };
    let sql = format!("CREATE PUBLICATION {}{what}{root}", identifier(name));
    let created = session.simple_query(&sql).await;
    created.map_err(|error| {
        from_sql(error, "creating the publication", name).with_hint(match options.autocreate {
            Autocreate::Filtered | Autocreate::NoTables => {
                format!("Run as a superuser, or as the tables' owner with CREATE on the database: {sql};")
            }
            _ => "Create it as a superuser, or use publication.autocreate.mode=filtered.".to_owned(),
        })
    })?;
    tracing::info!(publication = name, tables = tables.len(), "created publication");
    Ok(())
}

fn sql_list(tables: &[TableName]) -> String {
    let quoted = |table: &TableName| format!("{}.{}", identifier(&table.schema), identifier(&table.name));
    tables.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn named(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    match all.len() {
        0 => "no table".to_owned(),
        count if count > MAX_NAMED_TABLES => {
            format!("{} and {} more", all[..MAX_NAMED_TABLES].join(", "), count - MAX_NAMED_TABLES)
        }
        _ => all.join(", "),
    }
}
