//! The socket, readable and writable from two tasks at once, never blocking.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;

/// A peer that is gone without a word is noticed by the network's own means: probes while it is quiet, and a limit
/// for what it does not acknowledge.
const DEFAULT_TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const DEFAULT_TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connected, non-blocking socket.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The socket and what could not be written to it yet.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    unsent: Mutex<Vec<u8>>,
}

impl Channel {
    /// Connects. A host that begins with `/` is the folder of a Unix socket, as for every client of PostgreSQL.
    pub async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let socket = if host.starts_with('/') {
            let path = format!("{host}/.s.PGSQL.{port}");
            Socket::Unix(tokio::net::UnixStream::connect(path).await?.into_std()?)
        } else {
            let socket = tokio::net::TcpStream::connect((host, port)).await?;
            socket.set_nodelay(true)?;
            let probes = TcpKeepalive::new().with_time(DEFAULT_TCP_KEEPALIVE).with_interval(DEFAULT_TCP_KEEPALIVE);
            SockRef::from(&socket).set_tcp_keepalive(&probes)?;
            SockRef::from(&socket).set_tcp_user_timeout(Some(DEFAULT_TCP_USER_TIMEOUT))?;
            Socket::Tcp(socket.into_std()?)
        };
        Ok(Self { socket, unsent: Mutex::default() })
    }

    /// Registers the socket with the runtime, until the watch is dropped.
    pub fn watch(&self) -> io::Result<Watch> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => Watch::Tcp(tokio::net::TcpStream::from_std(socket.try_clone()?)?),
            Socket::Unix(socket) => Watch::Unix(tokio::net::UnixStream::from_std(socket.try_clone()?)?),
        })
    }

    /// Reads what is there; `WouldBlock` if nothing is.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Tcp(socket) => (&mut &*socket).read(into),
            Socket::Unix(socket) => (&mut &*socket).read(into),
        }
    }

    /// Sends bytes, in order, now or with the next call. True: nothing is left.
    pub fn send(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut unsent = self.unsent.lock();
        unsent.extend_from_slice(bytes);
        self.flush(&mut unsent)
    }

    /// Sends bytes unless older ones still wait: for statuses, of which only the newest counts.
    pub fn send_if_free(&self, bytes: &[u8]) -> io::Result<()> {
        let mut unsent = self.unsent.lock();
        if self.flush(&mut unsent)? {
            unsent.extend_from_slice(bytes);
            self.flush(&mut unsent)?;
        }
        Ok(())
    }

    fn flush(&self, unsent: &mut Vec<u8>) -> io::Result<bool> {
        while !unsent.is_empty() {
            let written = match &self.socket {
                Socket::Tcp(socket) => (&mut &*socket).write(unsent),
                Socket::Unix(socket) => (&mut &*socket).write(unsent),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// A registration of the socket: its readiness wakes a task.
#[derive(Debug)]
pub enum Watch {
    /// Of a TCP socket.
    Tcp(tokio::net::TcpStream),
    /// Of a Unix socket.
    Unix(tokio::net::UnixStream),
}

impl Watch {
    /// Waits. Cancel-safe.
    pub async fn ready(&self, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.ready(interest).await.map(drop),
            Self::Unix(socket) => socket.ready(interest).await.map(drop),
        }
    }

    /// Does something that needs readiness; if it gives `WouldBlock`, the next wait is for readiness told after it.
    pub fn try_io<T>(&self, interest: Interest, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Tcp(socket) => socket.try_io(interest, act),
            Self::Unix(socket) => socket.try_io(interest, act),
        }
    }
}
