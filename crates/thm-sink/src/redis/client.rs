//! The connection to Redis: scripts by hash, and what each failure means to the worker.

use std::io;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind as RedisKind, IntoConnectionInfo, RedisError,
    ServerErrorKind,
};
use thm_api::{Error, ErrorKind, Hosts, Result};
use tokio::net::TcpStream;

use super::config::Target;

/// One attempt each; drop it after an error.
#[derive(Clone)]
pub(super) struct RedisClient {
    connection: MultiplexedConnection,
    /// `host:port/db`, for messages.
    name: String,
}

/// A script and the hash that Redis knows it by.
#[derive(Clone, Debug)]
pub(super) struct LoadedScript {
    source: &'static str,
    sha: String,
}

impl RedisClient {
    /// Connects, logs in and selects the database.
    pub async fn connect(target: &Target, hosts: &Hosts) -> Result<Self> {
        let (host, port) = hosts.resolve(&target.host, target.port);
        let name = format!("{host}:{port}/{}", target.db);
        let doing = "connecting to Redis";
        let base = "redis://localhost".into_connection_info().map_err(|error| classify(doing, &name, error))?;
        let mut login = base.redis_settings().clone().set_db(target.db);
        if let Some(username) = &target.username {
            login = login.set_username(username);
        }
        if let Some(password) = &target.password {
            login = login.set_password(password.expose());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(target.timeout))
            .set_response_timeout(Some(target.timeout));
        if let Some(ca) = &target.tls {
            let tls = thm_tls::Client::of_name(ca.as_deref())?;
            let opened = tokio::time::timeout(target.timeout, async {
                let socket = TcpStream::connect((host.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                tls.connect(&target.host, socket).await
            });
            let stream = opened.await.unwrap_or_else(|late| Err(late.into()));
            let stream = stream.map_err(|error| thm_tls::unreached(doing, &name, "", error))?;
            let opened = MultiplexedConnection::new_with_config(&login, stream, config);
            let opened = tokio::time::timeout(target.timeout, opened).await;
            let opened = opened.unwrap_or_else(|late| Err(io::Error::from(late).into()));
            let (connection, driver) = opened.map_err(|error| classify(doing, &name, error))?;
            // Ends with the last clone of the connection.
            tokio::spawn(driver);
            return Ok(Self { connection, name });
        }
        let info = base.set_addr(ConnectionAddr::Tcp(host, port)).set_redis_settings(login);
        let client = Client::open(info).map_err(|error| classify(doing, &name, error))?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| classify(doing, &name, error))?;
        Ok(Self { connection, name })
    }

    /// `host:port/db`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a command and parses the answer.
    pub async fn query<T: redis::FromRedisValue>(&mut self, doing: &'static str, command: &Cmd) -> Result<T> {
        let answer = command.query_async(&mut self.connection).await;
        answer.map_err(|error| classify(doing, &self.name, error))
    }

    /// Stores a script, so that it can be called by its hash.
    pub async fn load(&mut self, source: &'static str) -> Result<LoadedScript> {
        let mut command = redis::cmd("SCRIPT");
        let sha = self.query("loading a script into Redis", command.arg("LOAD").arg(source)).await?;
        Ok(LoadedScript { source, sha })
    }

    /// Runs a script; `command` is as [`LoadedScript::call`] made it, with keys and arguments added.
    pub async fn run<T: redis::FromRedisValue>(
        &mut self,
        doing: &'static str,
        script: &LoadedScript,
        command: &Cmd,
    ) -> Result<T> {
        let answer = command.query_async(&mut self.connection).await;
        let answer = match answer {
            Err(error) if error.kind() == RedisKind::Server(ServerErrorKind::NoScript) => {
                self.load(script.source).await?;
                command.query_async(&mut self.connection).await
            }
            answer => answer,
        };
        answer.map_err(|error| classify(doing, &self.name, error))
    }
}

impl LoadedScript {
    /// The beginning of a call with so many keys.
    pub fn call(&self, keys: usize) -> Cmd {
        self.call_with(keys, (8, 128))
    }

    /// The same with room for so many arguments and bytes.
    pub fn call_with(&self, keys: usize, (arguments, bytes): (usize, usize)) -> Cmd {
        let mut command = Cmd::with_capacity(arguments, bytes);
        command.arg("EVALSHA").arg(&self.sha).arg(keys);
        command
    }
}

/// Denied and mismatch stop the task, everything else is tried again.
fn classify(doing: &'static str, name: &str, error: RedisError) -> Error {
    if thm_tls::is_refusal(&error) {
        return thm_tls::unreached(doing, name, "", error);
    }
    let text = error.to_string();
    let is = |codes: &[&str]| {
        error.code().is_some_and(|code| codes.contains(&code)) || codes.iter().any(|code| text.contains(code))
    };
    let kind = if error.kind() == RedisKind::AuthenticationFailed
        // The driver drops the code NOAUTH where it selects the database and keeps the text.
        || is(&["NOAUTH", "WRONGPASS", "NOPERM", "invalid password", "Authentication required"])
    {
        ErrorKind::SinkDenied
    } else if is(&["WRONGTYPE", "invalid DB index", "DB index is out of range"]) {
        ErrorKind::SinkMismatch
    } else {
        ErrorKind::SinkUnreachable
    };
    Error::new(kind, doing, name).with_source(error)
}
