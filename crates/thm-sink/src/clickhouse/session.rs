//! A session for deletes, so that one that comes late deletes nothing.
//!
//! A delete has no token. One whose answer got lost may stand in a queue or behind a broken link and run after the next
//! range, whose rows it would take. So deletes run in a session of the server that is named by us, and they run only
//! if the server knows it (`session_check`). Before anything else is written after a failure or a restart, that session
//! is closed: from then on whatever still comes in its name is refused.
//!
//! ```text
//!  open ──▶ close the session in the store ─┬─ closed, or not known ──▶ go on: it is void
//!                                           └─ locked: a delete runs ─▶ try again later
//!  delete ─▶ new name, stored ─▶ SELECT 1 makes the session ─▶ DELETE … session_check=1 ─▶ any error ─▶ open
//! ```
//! A name is used for one life of the task's connection and never again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Result, StateStore};
use uuid::Uuid;

use super::client::{Client, Request};
use super::fault::Fault;

const STATE_KEY: &str = "delete-session";
/// How long the server keeps an idle session: longer than a pause between two deletes under load.
const SESSION_TIMEOUT_SECONDS: &str = "60";
/// After this much idle time a new session is made instead of hoping for the old one.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// A session that is gone so often right after it was made is another server's.
const MAX_LOST: u32 = 2;

/// The session of a task's deletes.
#[derive(Clone)]
pub struct DeleteSession {
    connector: Arc<str>,
    state: Arc<dyn StateStore>,
    current: Option<(String, Instant)>,
    lost: u32,
    /// Whether deletes are bound to a session at all.
    bound: bool,
}

impl std::fmt::Debug for DeleteSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeleteSession")
            .field("current", &self.current)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl DeleteSession {
    /// None is made before the first delete. Without `bound` there never is one; only a test does without.
    pub fn new(connector: Arc<str>, state: Arc<dyn StateStore>, bound: bool) -> Self {
        Self { connector, state, current: None, lost: 0, bound }
    }

    /// Makes void what an earlier attempt or process may have under way. `Ok`: no earlier delete runs any more.
    pub async fn end_previous(&mut self, client: &Client) -> Result<()> {
        self.current = None;
        let Some(name) = self.state.get(STATE_KEY)? else { return Ok(()) };
        let name = String::from_utf8_lossy(&name).into_owned();
        let settings = [("session_id", name.as_str()), ("session_check", "1"), ("close_session", "1")];
        match send(client, "closing the session of earlier deletes", &settings).await {
            Ok(()) | Err(Fault::NoSession(_)) => {}
            Err(Fault::UnknownSetting(_)) => self.unbind("the server cannot close a session"),
            Err(fault) => return Err(fault.into()),
        }
        self.state.delete(STATE_KEY)
    }

    /// The session that a delete is to name; `None` where deletes are not bound to one.
    pub async fn name(&mut self, client: &Client) -> Result<Option<String>> {
        if !self.bound {
            return Ok(None);
        }
        if let Some((name, used)) = &mut self.current
            && used.elapsed() < MAX_IDLE
        {
            *used = Instant::now();
            return Ok(Some(name.clone()));
        }
        let name = format!("thm-delete-{}", Uuid::new_v4());
        self.state.put(STATE_KEY, name.as_bytes())?;
        let settings = [("session_id", name.as_str()), ("session_timeout", SESSION_TIMEOUT_SECONDS)];
        send(client, "making a session for deletes", &settings).await?;
        self.current = Some((name.clone(), Instant::now()));
        Ok(Some(name))
    }

    /// A delete was done.
    pub fn succeeded(&mut self) {
        self.lost = 0;
    }

    /// A delete was refused because its session is not known.
    pub fn not_known(&mut self) {
        self.lost += 1;
        if self.lost >= MAX_LOST {
            self.unbind("sessions do not last; is this a load balancer of several servers?");
        }
    }

    fn unbind(&mut self, reason: &str) {
        self.bound = false;
        tracing::warn!(connector = %self.connector, reason, "a delete that comes late cannot be kept from running");
    }
}

async fn send(client: &Client, doing: &'static str, settings: &[(&str, &str)]) -> Result<(), Fault> {
    let body = "SELECT 1".into();
    client.send(Request { doing, object: "", query_id: None, body, settings, insert: false }).await.map(drop)
}
