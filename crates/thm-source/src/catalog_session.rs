//! What the catalog says of the tables that the stream tells of, asked over a session that is kept.
//!
//! ```text
//!   poll ─▶ ask(relation) ─▶ task: connect if need be, ask ─┐
//!    ╳ dropped                                              │
//!   poll ─▶ ask(relation) ─▶ the same task ◀────────────────┘ answer, and the session back
//! ```
//! A poll may be dropped at any wait, and to connect and ask takes several round trips. So that is done on a task of its
//! own, and the next poll waits for the answer that is under way: it comes however short-lived the polls are.

use std::sync::Arc;

use thm_api::{Error, ErrorKind, Hosts, Result};
use tokio::task::JoinHandle;

use crate::catalog::{self, TableName};
use crate::options::Options;
use crate::pgoutput::Relation;
use crate::session::Session;
use crate::table::TableFacts;
use crate::toast::{TableStorage, table_storage};

/// What the catalog says of a table now.
pub struct Answer {
    /// Its key, columns and types. It may be gone by now: then its identity is its key.
    pub facts: TableFacts,
    /// How its rows are stored, if that was asked for and it is not gone.
    pub storage: Option<TableStorage>,
}

/// The stream's session for questions.
pub struct CatalogSession {
    options: Arc<Options>,
    hosts: Arc<Hosts>,
    /// Connected when it is first needed and again if it was lost.
    session: Option<Session>,
    asking: Option<Asking>,
}

struct Asking {
    relation: Relation,
    answer: JoinHandle<Result<(Session, Answer)>>,
}

impl CatalogSession {
    /// Goes on with a session.
    #[must_use]
    pub const fn new(options: Arc<Options>, hosts: Arc<Hosts>, session: Session) -> Self {
        Self { options, hosts, session: Some(session), asking: None }
    }

    /// Asks of a table, with its storage if wanted. Cancel-safe: asked again, the answer is the one under way.
    pub async fn ask(&mut self, relation: &Relation, with_storage: bool) -> Result<Answer> {
        let asking = match self.asking.take().filter(|asking| asking.relation == *relation) {
            Some(asking) => asking,
            None => self.begin(relation.clone(), with_storage),
        };
        let asking = self.asking.insert(asking);
        let answered = (&mut asking.answer).await;
        self.asking = None;
        let (session, answer) = answered.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "asking the catalog", "task").with_source(error))
        })?;
        self.session = Some(session);
        Ok(answer)
    }

    fn begin(&mut self, relation: Relation, with_storage: bool) -> Asking {
        let (options, hosts) = (Arc::clone(&self.options), Arc::clone(&self.hosts));
        let (kept, asked) = (self.session.take(), relation.clone());
        let answer = tokio::spawn(async move {
            let session = alive(kept, &options, &hosts).await?;
            let facts = facts(&session, &asked).await?;
            let storage = if with_storage { table_storage(&session, asked.oid).await? } else { None };
            Ok((session, Answer { facts, storage }))
        });
        Asking { relation, answer }
    }

    /// The session itself, for other questions.
    pub async fn session(&mut self) -> Result<&Session> {
        let session = alive(self.session.take(), &self.options, &self.hosts).await?;
        Ok(self.session.insert(session))
    }
}

async fn alive(kept: Option<Session>, options: &Options, hosts: &Hosts) -> Result<Session> {
    match kept.filter(|session| !session.is_closed()) {
        Some(session) => Ok(session),
        None => Session::connect(options, hosts).await,
    }
}

async fn facts(session: &Session, relation: &Relation) -> Result<TableFacts> {
    let name = TableName { schema: relation.schema.clone(), name: relation.name.clone(), oid: relation.oid };
    if let Some((_, facts)) = catalog::table(session, &name).await? {
        return Ok(facts);
    }
    let oids: Vec<u32> = relation.columns.iter().map(|column| column.type_oid).collect();
    let identity = relation.columns.iter().filter(|column| column.identity && relation.identity != b'f');
    let key = identity.map(|column| column.name.clone()).collect();
    Ok(TableFacts { key, columns: Vec::new(), types: catalog::types(session, &oids).await? })
}
