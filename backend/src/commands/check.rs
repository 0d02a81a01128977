//! Asks a server on this machine whether it is ready: for images that have no curl.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::command_error::CommandError;

const MAX_TIME: Duration = Duration::from_secs(4);

pub(super) fn check(port: u16) -> Result<(), CommandError> {
    let status = ask(port).map_err(|error| CommandError::NotReady(error.to_string()))?;
    if status == "200" { Ok(()) } else { Err(CommandError::NotReady(format!("it says {status}"))) }
}

fn ask(port: u16) -> std::io::Result<String> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, MAX_TIME)?;
    stream.set_read_timeout(Some(MAX_TIME))?;
    stream.set_write_timeout(Some(MAX_TIME))?;
    let request = "GET /api/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    // "HTTP/1.1 200": what follows is for people.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(String::from_utf8_lossy(&head[9..]).into_owned())
}
