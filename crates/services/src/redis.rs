//! How Redis is started, and asked whether it is there.
//!
//! Rule: what it has acknowledged is on the disk, so that it is there again after a kill.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::guardian::Invocation;

/// In the folder for its data, which must be there already.
pub(crate) fn serve(program: PathBuf, data: &Path, port: u16) -> Invocation {
    let port = port.to_string();
    let options = [
        ["--bind", "127.0.0.1"],
        ["--port", &port],
        ["--appendonly", "yes"],
        ["--appendfsync", "always"],
        // The snapshots would be a second truth beside the log.
        ["--save", ""],
    ];
    let mut arguments: Vec<_> = options.as_flattened().iter().map(Into::into).collect();
    arguments.extend(["--dir".into(), data.into()]);
    Invocation { program, arguments }
}

/// Whether it is this very process that answers, and from its data rather than still loading them.
pub(crate) fn answers(mut connection: TcpStream, pid: u32) -> io::Result<bool> {
    connection.write_all(b"PING\r\nINFO server\r\nQUIT\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.starts_with("+PONG\r\n") && answer.contains(&format!("\nprocess_id:{pid}\r\n")))
}
