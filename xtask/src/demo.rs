//! `cargo xtask demo`: builds everything and serves the demo in the foreground.
//!
//! Rule: the platform takes this process's place, so that Ctrl-C and every other signal reach it
//! without anything in between that could leave it behind.

use std::env;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::build;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::workspace::{Workspace, cargo};

const DEFAULT_PORT: u16 = 8080;
const USER: &str = "demo";
const PASSWORD: &str = "demo";
/// Long enough to see that the page says "waking up", short enough to wait for.
const WAKE_MS: &str = "8000";

pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let port = free_port(env::var("PORT").ok().as_deref())?;
    let package = build::run_traced(workspace, runner)?;
    build_servers(runner, &[])?;
    println!(
        "\n  session-keeper demo\n    \
             open     http://127.0.0.1:{port}/\n    \
             user     {USER}\n    \
             password {PASSWORD}\n    \
             stop     Ctrl-C\n"
    );
    let mut platform = Command::new(workspace.binary("session-keeper-platform"));
    platform
        .arg("--backend")
        .arg(workspace.binary("session-keeper-backend"))
        .arg("--www")
        .arg(workspace.root.join("www"))
        .arg("--package")
        .arg(package)
        .arg("--data")
        .arg(workspace.target.join("demo-data"))
        .args(["--port", &port.to_string(), "--idle-ms", "0", "--wake-ms", WAKE_MS])
        .args(["--user", &format!("{USER}:{PASSWORD}")]);
    become_program(&mut platform)
        .map_err(|error| Failure::Io(format!("cannot start the platform: {error}")))
}

/// The reference backend and the platform in front of it, and what else is named.
pub(crate) fn build_servers(runner: &Runner, others: &[&'static str]) -> Result<(), Failure> {
    let mut build = cargo();
    build.arg("build").args(servers(others));
    runner.run("servers (cargo build)", &mut build)
}

/// The arguments for cargo that name what [`build_servers`] builds.
pub(crate) fn servers(others: &[&'static str]) -> Vec<&'static str> {
    let packages = ["session-keeper-backend", "session-keeper-platform"];
    packages.iter().chain(others).flat_map(|package| ["-p", package]).collect()
}

/// Says that a port is taken before minutes of building, and in words.
fn free_port(wanted: Option<&str>) -> Result<u16, Failure> {
    let port = wanted.map_or(Ok(DEFAULT_PORT), str::parse);
    let port = port.map_err(|_| Failure::Usage("PORT must be a number from 0 to 65535".into()))?;
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    bound.and_then(|listener| listener.local_addr()).map(|address| address.port()).map_err(|error| {
        Failure::Usage(format!(
            "port {port} cannot be used ({error}): choose another one, as in `PORT=8081 npm start`"
        ))
    })
}

#[cfg(unix)]
fn become_program(command: &mut Command) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> io::Result<()> {
    command.status().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_with_a_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        let port = taken.local_addr().expect("bound").port().to_string();
        let Err(Failure::Usage(text)) = free_port(Some(&port)) else {
            panic!("a taken port was accepted");
        };
        assert!(text.contains(&port) && text.contains("PORT="), "{text}");
    }

    #[test]
    fn port_zero_is_any_free_one_and_a_word_is_refused() {
        assert!(free_port(Some("0")).expect("some port is free") > 0);
        assert!(matches!(free_port(Some("http")), Err(Failure::Usage(_))));
    }
}
