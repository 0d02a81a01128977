//! How PostgreSQL gets its files, is started, and asked whether it is there.
//!
//! Rule: durable as it comes (fsync on); nothing of it lies outside of its folder but one small
//! segment of shared memory, which the guardian removes. It speaks as much of the protocol as a
//! connection needs.

use std::fs;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::error::ServiceError;
use crate::guardian::{Account, Invocation};

pub(crate) const USER: &str = "postgres";

/// Version 3.0, then the names that a connection starts with.
const START: &[u8] = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
const TERMINATE: &[u8] = b"X\0\0\0\x04";
const READY_FOR_QUERY: u8 = b'Z';

/// Whom to run it as, when we are root: it refuses that.
pub(crate) fn account() -> Result<Option<Account>, ServiceError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")
        .map_err(ServiceError::io("read /etc/passwd for an account other than root"))?;
    let account = [USER, "nobody"].iter().find_map(|name| account_of(&accounts, name));
    account.map(Some).ok_or(ServiceError::NoAccount)
}

/// Makes the data's folder.
pub(crate) fn make_data(programs: &Path, data: &Path) -> Invocation {
    let options =
        ["--no-sync", "--auth=trust", "--username", USER, "--encoding=UTF8", "--locale=C"];
    let mut arguments: Vec<_> = options.iter().map(Into::into).collect();
    arguments.extend(["--pgdata".into(), data.into()]);
    Invocation { program: programs.join("initdb"), arguments }
}

pub(crate) fn serve(programs: &Path, data: &Path, port: u16) -> Invocation {
    let port = port.to_string();
    let options = [
        ["-h", "127.0.0.1"],
        ["-p", &port],
        ["-c", "max_connections=100"],
        ["-c", "unix_socket_directories="],
        // In files of its folder: a server killed by SIGKILL would leave the others in the system.
        ["-c", "dynamic_shared_memory_type=mmap"],
    ];
    let mut arguments: Vec<_> = options.as_flattened().iter().map(Into::into).collect();
    arguments.extend(["-D".into(), data.into()]);
    Invocation { program: programs.join("postgres"), arguments }
}

/// Whether this very process is ready, as its own file tells: at its port may be another's.
pub(crate) fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(file) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = file.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Opens a session and closes it.
pub(crate) fn answers(mut connection: TcpStream) -> io::Result<bool> {
    // The length counts itself.
    let length = u32::try_from(START.len() + 4).expect("it is a short constant");
    connection.write_all(&[&length.to_be_bytes(), START].concat())?;
    let mut messages = BufReader::new(&connection);
    loop {
        let mut head = [0; 5];
        messages.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        match kind {
            READY_FOR_QUERY => break,
            b'E' => return Ok(false),
            _ => {}
        }
        let body = u64::from(u32::from_be_bytes(length)).saturating_sub(4);
        io::copy(&mut (&mut messages).take(body), &mut io::sink())?;
    }
    connection.write_all(TERMINATE)?;
    Ok(true)
}

/// `NAME:PASSWORD:UID:GID:…`
fn account_of(accounts: &str, name: &str) -> Option<Account> {
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.first() == Some(&name))?;
    Some(Account { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/:/bin/sh\npostgres2:x:7:7::/:\npostgres:x:101:104:P:/:\n";
        assert_eq!(account_of(accounts, USER), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(account_of(accounts, "nobody"), None);
    }
}
