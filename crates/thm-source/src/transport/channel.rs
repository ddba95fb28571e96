//! The socket, readable and writable from two tasks at once, never blocking; inside TLS if that was agreed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConnection;
use socket2::{SockRef, TcpKeepalive};
use thm_tls::PostgresTls;
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
    /// Both directions share its state; neither holds it longer than a read or write that does not wait.
    tls: Option<Mutex<ClientConnection>>,
    /// In clear text; inside TLS the session keeps what waits.
    unsent: Mutex<Vec<u8>>,
}

impl Channel {
    /// Connects. A host that begins with `/` is the folder of a Unix socket, as for every client of PostgreSQL.
    /// Over TCP the server is asked for TLS as `tls` says, and must be `name`.
    pub async fn connect(host: &str, port: u16, name: &str, tls: &PostgresTls) -> io::Result<Self> {
        let (socket, session) = if host.starts_with('/') {
            let path = format!("{host}/.s.PGSQL.{port}");
            (Socket::Unix(tokio::net::UnixStream::connect(path).await?.into_std()?), None)
        } else {
            let socket = tokio::net::TcpStream::connect((host, port)).await?;
            socket.set_nodelay(true)?;
            let probes = TcpKeepalive::new().with_time(DEFAULT_TCP_KEEPALIVE).with_interval(DEFAULT_TCP_KEEPALIVE);
            SockRef::from(&socket).set_tcp_keepalive(&probes)?;
            SockRef::from(&socket).set_tcp_user_timeout(Some(DEFAULT_TCP_USER_TIMEOUT))?;
            let (socket, session) = tls.negotiate(name, socket).await?;
            (Socket::Tcp(socket.into_std()?), session)
        };
        Ok(Self { socket, tls: session.map(Mutex::new), unsent: Mutex::default() })
    }

    /// Registers the socket with the runtime, until the watch is dropped.
    pub fn watch(&self) -> io::Result<Watch> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => Watch::Tcp(tokio::net::TcpStream::from_std(socket.try_clone()?)?),
            Socket::Unix(socket) => Watch::Unix(tokio::net::UnixStream::from_std(socket.try_clone()?)?),
        })
    }

    /// Reads what is there; `WouldBlock` if nothing is. Less than `into` holds: there is no more just now.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.socket).read(into),
            Some(tls) => read_tls(&mut tls.lock(), &self.socket, into),
        }
    }

    /// Sends bytes, in order, now or with the next call. True: nothing is left.
    pub fn send(&self, bytes: &[u8]) -> io::Result<bool> {
        if let Some(tls) = &self.tls {
            let tls = &mut *tls.lock();
            tls.writer().write_all(bytes)?;
            return flush_tls(tls, &self.socket);
        }
        let mut unsent = self.unsent.lock();
        unsent.extend_from_slice(bytes);
        self.flush(&mut unsent)
    }

    /// Sends bytes unless older ones still wait: for statuses, of which only the newest counts.
    pub fn send_if_free(&self, bytes: &[u8]) -> io::Result<()> {
        if self.send(&[])? {
            self.send(bytes)?;
        }
        Ok(())
    }

    fn flush(&self, unsent: &mut Vec<u8>) -> io::Result<bool> {
        while !unsent.is_empty() {
            match (&self.socket).write(unsent) {
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

impl Read for &Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => (&mut &*socket).read(into),
            Socket::Unix(socket) => (&mut &*socket).read(into),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => (&mut &*socket).write(bytes),
            Socket::Unix(socket) => (&mut &*socket).write(bytes),
        }
    }

    /// Nothing is kept here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills `into` as far as the socket goes. An end after some bytes is told by the next read.
fn read_tls(tls: &mut ClientConnection, mut socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match tls.reader().read(&mut into[read..]) {
            Ok(0) => break,
            Ok(bytes) => {
                read += bytes;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The server has closed the socket without the end of TLS: as without TLS, the protocol tells what is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        match tls.read_tls(&mut socket) {
            Ok(_) => {
                tls.process_new_packets().map_err(broken)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && read > 0 => break,
            Err(error) => return Err(error),
        }
    }
    // Answers of the session itself, such as to a new key; what does not go now goes with the next.
    match flush_tls(tls, socket) {
        Err(error) if read == 0 => Err(error),
        _ => Ok(read),
    }
}

/// The session has agreed on everything before: what breaks it now may pass with the next one.
fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, format!("TLS: {error}"))
}

/// True: nothing is left.
fn flush_tls(tls: &mut ClientConnection, mut socket: &Socket) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
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
