//! As much of both protocols as shows whether a server answers and what it keeps.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A machine that builds meanwhile is slow.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("it is a duration above zero");
    connection
}

pub(crate) fn refuses(port: u16) -> bool {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Waits for a fact that follows by itself.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// One inline command of Redis; gives the first line of the answer that is no length.
pub(crate) fn redis(connection: &TcpStream, command: &str) -> io::Result<String> {
    let mut writer = connection;
    writer.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    while line.is_empty() || line.starts_with('$') {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(line.trim_end().to_owned())
}

/// Asks PostgreSQL whether it speaks TLS; `N` or `S` is an answer.
pub(crate) fn ssl_request(mut connection: &TcpStream) -> io::Result<char> {
    connection.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
    let mut answer = [0];
    connection.read_exact(&mut answer)?;
    Ok(answer[0].into())
}

/// A session of PostgreSQL.
pub(crate) struct Session(TcpStream);

impl Session {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let mut connection = connect(port);
        let start = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        connection.write_all(&with_length(start))?;
        let mut session = Self(connection);
        session.answer()?;
        Ok(session)
    }

    /// Gives the bytes of the rows, lengths and all.
    pub(crate) fn query(&mut self, sql: &str) -> io::Result<String> {
        self.0.write_all(b"Q")?;
        self.0.write_all(&with_length(format!("{sql}\0").as_bytes()))?;
        self.answer()
    }

    /// For a server that gives no answer.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.0.set_read_timeout(Some(patience)).expect("it is a duration above zero");
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut rows = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            let length = u32::from_be_bytes(length) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body)?;
            match kind {
                b'Z' => return Ok(String::from_utf8_lossy(&rows).into_owned()),
                b'E' => return Err(io::Error::other(String::from_utf8_lossy(&body))),
                b'D' => rows.extend(body),
                _ => {}
            }
        }
    }
}

/// Whether a read ended because nothing came.
pub(crate) fn timed_out<T>(outcome: &io::Result<T>) -> bool {
    let kind = outcome.as_ref().err().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
}

fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len() + 4).expect("the messages are short");
    [&length.to_be_bytes(), message].concat()
}
