//! An ordinary SQL session: for the catalog, the slot's state and the snapshot's `COPY`.

use std::time::Duration;

use thm_api::{Error, ErrorKind, Hosts, Result};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::failure::from_sql;
use crate::options::Options;

/// Long enough for a busy server, short enough for a person who waits for an answer.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Times are in UTC, and no query is cut off by a role's own limits.
pub const SESSION_SETTINGS: &str = "-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0";

/// A session; the connection ends when this is dropped.
pub struct Session {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl std::ops::Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Session {
    /// Connects.
    pub async fn connect(options: &Options, hosts: &Hosts) -> Result<Self> {
        let (host, port) = hosts.resolve(&options.host, options.port);
        let object = format!("{host}:{port}/{}", options.database);
        let mut config = tokio_postgres::Config::new();
        config.host(&host).port(port).user(&options.user).dbname(&options.database);
        let tls = options.ssl.open()?;
        config.password(options.password.expose()).ssl_mode(tls.library_mode()).application_name("thm source");
        config.connect_timeout(DEFAULT_CONNECT_TIMEOUT);
        config.options(SESSION_SETTINGS);
        let doing = "connecting to PostgreSQL";
        let connecting =
            tokio::time::timeout(DEFAULT_CONNECT_TIMEOUT, config.connect(tls.for_host(&options.host))).await;
        let (client, connection) = match connecting {
            Ok(connected) => connected.map_err(|error| from_sql(error, doing, object))?,
            Err(late) => return Err(Error::new(ErrorKind::SourceUnreachable, doing, object).with_source(late)),
        };
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "sql session ended");
            }
        });
        for statement in &options.initial_statements {
            let done = client.batch_execute(statement).await;
            done.map_err(|error| from_sql(error, "running database.initial.statements", statement))?;
        }
        Ok(Self { client, connection })
    }
}

/// Quotes an identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
