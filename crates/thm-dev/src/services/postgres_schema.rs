//! The database's content: user and database `thm`, then the project's SQL files, once.
//!
//! The files run in one transaction that ends by marking the database, so a start that was cut off leaves nothing
//! half done and the next one begins again.

use std::fs;
use std::path::PathBuf;

use thm_api::{Error, ErrorKind, Result};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, NoTls};

use crate::process::local;

/// Comment on the database that says its files were applied.
const APPLIED: &str = "thm: db/init applied";

/// Connects; the connection ends with the client.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|error| failed("connecting", error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// Creates user `app` and its database `thm` where they are missing.
pub(super) async fn create_database(url: &str) -> Result<()> {
    let client = connect(url).await?;
    let exists = async |query: &str| {
        let row = client.query_opt(query, &[]).await.map_err(|error| failed("looking for user and database", error))?;
        Ok::<_, Error>(row.is_some())
    };
    if !exists("SELECT 1 FROM pg_roles WHERE rolname = 'app'").await? {
        let statement = "CREATE ROLE app LOGIN REPLICATION PASSWORD 'app'";
        client.batch_execute(statement).await.map_err(|error| failed("creating user app", error))?;
    }
    if !exists("SELECT 1 FROM pg_database WHERE datname = 'thm'").await? {
        let statement = "CREATE DATABASE thm OWNER app";
        client.batch_execute(statement).await.map_err(|error| failed("creating database thm", error))?;
    }
    Ok(())
}

/// Applies `files` in order, unless this database has had them.
pub(super) async fn apply_once(url: &str, files: &[PathBuf]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut client = connect(url).await?;
    let mark = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()";
    let row = client.query_one(mark, &[]).await.map_err(|error| failed("reading the database's mark", error))?;
    if row.get::<_, Option<String>>(0).as_deref() == Some(APPLIED) {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(|error| failed("beginning", error))?;
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| local("reading", file.display(), error))?;
        transaction.batch_execute(&text).await.map_err(|error| {
            let place = format!("{}{}: {}", file.display(), line_of(&error, &text), describe(&error));
            Error::new(ErrorKind::InvalidConfig, "applying", place)
                .with_hint("Correct the file; nothing of it was kept, the next start applies all files again.")
        })?;
    }
    let statement = format!("COMMENT ON DATABASE thm IS '{APPLIED}'");
    transaction.batch_execute(&statement).await.map_err(|error| failed("marking the database", error))?;
    transaction.commit().await.map_err(|error| failed("committing", error))
}

/// ` line N` where the server says at which character of `text` it stumbled.
fn line_of(error: &tokio_postgres::Error, text: &str) -> String {
    match error.as_db_error().and_then(|below| below.position()) {
        Some(ErrorPosition::Original(character)) => {
            let before = text.chars().take(*character as usize);
            format!(" line {}", 1 + before.filter(|&c| c == '\n').count())
        }
        _ => String::new(),
    }
}

/// Server errors as they read in `psql`, others as they are.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(below) => format!("{} (SQLSTATE {})", below.message(), below.code().code()),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

fn failed(doing: &'static str, error: tokio_postgres::Error) -> Error {
    Error::new(ErrorKind::LocalService, doing, format!("PostgreSQL: {}", describe(&error)))
}
