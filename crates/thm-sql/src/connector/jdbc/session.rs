//! The connection that look-ups ask: one attempt each; who calls retries.
//!
//! ```text
//!   keys ─▶ queries of DEFAULT_QUERY_KEYS keys, sent one behind the other ─▶ answers in the same order ─▶ columns of text
//! ```
//! Invariant: an answer holds all rows of all keys asked for, or there is none. A connection that failed is not used again.

use std::time::Duration;

use arrow::array::{StringArray, StringBuilder};
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use thm_api::{Error, ErrorKind, Hosts, Result};
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::JdbcTable;
use super::statement::{Described, KeyColumn, identifier, select};
use crate::types::LogicalType;

/// Keys of one query: enough to make its fixed cost small, few enough that planning stays quick.
const DEFAULT_QUERY_KEYS: usize = 1_000;
/// Wait for a host that does not answer, before the next of the URL's hosts.
const DEFAULT_HOST_TIMEOUT: Duration = Duration::from_secs(10);
/// Times are shown in UTC and ISO's form, nothing is changed by mistake, and no query is cut off by a role's own limits.
const SESSION_SETTINGS: &str = "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 \
     -c default_transaction_read_only=on -c statement_timeout=0 -c idle_session_timeout=0";

/// What is asked of a table.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Columns that are wanted, by their place in [`JdbcTable::columns`].
    pub columns: Vec<usize>,
    /// Columns of the key, and the type in which each is compared.
    pub keys: Vec<(usize, LogicalType)>,
}

/// What came of a question.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Wanted columns as text, and whether each is `bytea` in hexadecimal digits.
    Rows(Vec<(StringArray, bool)>),
    /// More than so many bytes: ask for fewer keys.
    TooLarge,
}

/// A table of a database.
pub(crate) struct Database {
    table: JdbcTable,
    asked: Asked,
    hosts: Hosts,
    open: Option<Open>,
}

struct Open {
    client: Client,
    connection: JoinHandle<()>,
    statement: Statement,
    keys: Vec<KeyColumn>,
    binary: Vec<bool>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Database {
    /// Not connected yet.
    pub fn new(table: JdbcTable, asked: Asked, hosts: Hosts) -> Self {
        Self { table, asked, hosts, open: None }
    }

    /// `postgresql://host:port/database, table`, for people.
    pub fn shown(&self) -> String {
        format!("{}, {}", self.table.address.shown(), self.table.relation)
    }

    /// The rows of some keys, each given by the texts of its parts. Connects if there is no connection.
    pub async fn ask(&mut self, keys: &[&[String]], max_bytes: usize) -> Result<Answer> {
        let open = match self.open.take().filter(|open| !open.client.is_closed()) {
            Some(open) => open,
            None => self.connect().await?,
        };
        let answer = open.ask(keys, max_bytes).await;
        let answer = answer.map_err(|error| failed("asking a look-up table", self.shown(), error))?;
        self.open = Some(open);
        Ok(answer)
    }

    async fn connect(&self) -> Result<Open> {
        let doing = "connecting a look-up";
        let connecting = async {
            let (client, connection) = self.any_host().await?;
            let open = self.prepare(client, connection).await;
            open.map_err(|error| failed("preparing a look-up", self.shown(), error))?
        };
        match tokio::time::timeout(self.table.connect_timeout, connecting).await {
            Ok(done) => done,
            Err(late) => Err(Error::new(ErrorKind::LookupUnreachable, doing, self.shown()).with_source(late)),
        }
    }

    async fn any_host(&self) -> Result<(Client, JoinHandle<()>)> {
        let tls = self.table.address.ssl.open()?;
        let mut last = None;
        for (host, port) in &self.table.address.hosts {
            let name = host;
            let (host, port) = self.hosts.resolve(host, *port);
            let mut config = tokio_postgres::Config::new();
            config.host(&host).port(port).dbname(&self.table.address.database).ssl_mode(tls.library_mode());
            config.application_name("thm look-up").connect_timeout(DEFAULT_HOST_TIMEOUT).options(SESSION_SETTINGS);
            if let Some((user, password)) = &self.table.login {
                config.user(user).password(password.expose());
            }
            match config.connect(tls.for_host(name)).await {
                Ok((client, connection)) => {
                    let connection = tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a look-up's connection ended");
                        }
                    });
                    return Ok((client, connection));
                }
                Err(error) => last = Some(failed("connecting a look-up", format!("{host}:{port}"), error)),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Internal, "connecting a look-up", "no host")))
    }

    /// Learns what the columns are in the database, and prepares the query.
    async fn prepare(
        &self,
        client: Client,
        connection: JoinHandle<()>,
    ) -> std::result::Result<Result<Open>, tokio_postgres::Error> {
        if let Some(schema) = &self.table.address.schema {
            client.batch_execute(&format!("SET search_path TO {}", identifier(schema))).await?;
        }
        let whole = client.prepare(&format!("SELECT * FROM {}", self.table.from)).await?;
        let columns = whole.columns().iter();
        let there: Vec<Described> =
            columns.map(|column| Described { name: column.name().to_owned(), kind: column.type_().clone() }).collect();
        let found = |index: &usize| self.find(&there, *index);
        let wanted: Result<Vec<&Described>> = self.asked.columns.iter().map(found).collect();
        let keys: Result<Vec<KeyColumn>> =
            self.asked.keys.iter().map(|(index, kind)| Ok(KeyColumn::new(found(index)?, *kind))).collect();
        let (wanted, keys) = match (wanted, keys) {
            (Ok(wanted), Ok(keys)) => (wanted, keys),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let statement = client.prepare(&select(&self.table.from, &wanted, &keys)).await?;
        let binary = wanted.iter().map(|column| column.kind == Type::BYTEA).collect();
        Ok(Ok(Open { client, connection, statement, keys, binary }))
    }

    /// A declared column in the database: by its very name, or as PostgreSQL folds names.
    fn find<'a>(&self, there: &'a [Described], index: usize) -> Result<&'a Described> {
        let name = &self.table.columns[index];
        let folded = name.to_lowercase();
        let named = |name: &str| there.iter().find(|column| column.name == name);
        named(name).or_else(|| named(&folded)).ok_or_else(|| {
            let known: Vec<&str> = there.iter().map(|column| column.name.as_str()).collect();
            Error::new(ErrorKind::InvalidConfig, "preparing a look-up", self.shown())
                .with_source(format!("column \"{name}\" does not exist"))
                .with_hint(format!("Declare columns that the database's table has: {}.", known.join(", ")))
        })
    }
}

impl Open {
    async fn ask(&self, keys: &[&[String]], max_bytes: usize) -> std::result::Result<Answer, tokio_postgres::Error> {
        let can_be = |parts: &&&[String]| self.keys.iter().zip(**parts).all(|(key, part)| key.can_be(part));
        let keys: Vec<&[String]> = keys.iter().filter(can_be).copied().collect();
        let queries = keys.chunks(DEFAULT_QUERY_KEYS).map(|keys| self.query(keys, max_bytes));
        let mut columns: Vec<StringBuilder> = self.binary.iter().map(|_| StringBuilder::new()).collect();
        let mut bytes = 0;
        for answer in try_join_all(queries).await? {
            let Some(rows) = answer else { return Ok(Answer::TooLarge) };
            for row in rows {
                for (at, column) in columns.iter_mut().enumerate() {
                    let value: Option<&str> = row.try_get(at)?;
                    bytes += value.map_or(0, str::len);
                    column.append_option(value);
                }
            }
        }
        if bytes > max_bytes {
            return Ok(Answer::TooLarge);
        }
        let finished = columns.iter_mut().map(StringBuilder::finish).zip(self.binary.iter().copied());
        Ok(Answer::Rows(finished.collect()))
    }

    /// One query; `None` if its answer is too large, with the rest of it left unread.
    async fn query(
        &self,
        keys: &[&[String]],
        max_bytes: usize,
    ) -> std::result::Result<Option<Vec<tokio_postgres::Row>>, tokio_postgres::Error> {
        let part = |at: usize| keys.iter().map(|parts| parts[at].as_str()).collect::<Vec<_>>();
        let parts: Vec<Vec<&str>> = (0..self.keys.len()).map(part).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parts.iter().map(|part| part as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query_raw(&self.statement, parameters).await?;
        futures::pin_mut!(rows);
        let (mut out, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            bytes += row.raw_size_bytes();
            if bytes > max_bytes {
                return Ok(None);
            }
            out.push(row);
        }
        Ok(Some(out))
    }
}

/// An error of the database as one of ours: what an operator has to mend is not tried again.
fn failed(doing: &'static str, object: String, error: tokio_postgres::Error) -> Error {
    if thm_tls::is_refusal(&error) {
        let hint = "Correct sslmode in the url, or sslrootcert, which must vouch for the server's certificate.";
        return Error::new(ErrorKind::LookupRefused, doing, object).with_hint(hint).with_source(error);
    }
    let state = error.code().map(|state| state.code().to_owned());
    let kind = match state.as_deref() {
        // Password, no such role, database or right.
        Some("28P01" | "28000" | "3D000" | "42501") => ErrorKind::LookupRefused,
        // Syntax, no such table or column, a value that its type does not take.
        Some(state) if state.starts_with("42") || state.starts_with("22") => ErrorKind::LookupRefused,
        _ => ErrorKind::LookupUnreachable,
    };
    Error::new(kind, doing, object).with_source(error)
}
