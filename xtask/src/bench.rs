//! `cargo xtask bench-verdict`: the figures of the verdict, on the core and on real servers.
//!
//! Rule: prints what was counted and judges nothing; a number that is too high fails no build,
//! because these machines are noisy and the numbers are there to be read.

use std::process::Command;

use crate::browser::Browser;
use crate::build;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::workspace::{Workspace, cargo};

pub(crate) fn verdict(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    build::run(workspace, runner)?;
    let browser = Browser::find_or_install(runner)?;
    println!("\nOn the core (about ten minutes)\n");
    let mut core = cargo();
    core.args(["run", "--release", "--quiet", "-p", "session-keeper-sim"]);
    show(core.args(["--bin", "bench-verdict"]))?;
    println!("\nOn servers that others wrote (ten minutes)\n");
    let mut node = Command::new("node");
    node.arg("tests/servers/bench.mjs")
        .env("CHROME", &browser.chrome)
        .env("CARGO_TARGET_DIR", &workspace.target);
    show(&mut node)
}

/// Its output is what was asked for.
fn show(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.status().map_err(|error| Failure::Io(format!("cannot start {name}: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Step { step: name, status: status.to_string() })
}
