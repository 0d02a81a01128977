//! `cargo xtask bench-verdict`, `bench-fetch` and `bench-backend`: the figures of the verdict, on
//! the core and on real servers, of a request of the app, and of the reference backend beside
//! another.
//!
//! Rule: prints what was counted and judges nothing; a number that is too high fails no build,
//! because these machines are noisy and the numbers are there to be read.

use std::process::Command;
use std::thread;

use crate::apt;
use crate::browser::Browser;
use crate::build;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::services::Services;
use crate::setup::find_program;
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

/// `wishes` go to the script, e.g. `--rounds 500`.
pub(crate) fn fetch(
    workspace: &Workspace,
    runner: &Runner,
    wishes: &[String],
) -> Result<(), Failure> {
    build::run(workspace, runner)?;
    let browser = Browser::find_or_install(runner)?;
    let mut node = Command::new("node");
    node.arg("bench/fetch/run.mjs").args(wishes).env("CHROME", &browser.chrome);
    show(&mut node)
}

/// `wishes` go to the script, e.g. `--only memory`.
pub(crate) fn backend(
    workspace: &Workspace,
    runner: &Runner,
    wishes: &[String],
) -> Result<(), Failure> {
    find_or_install_wrk(runner)?;
    let services = Services::find_or_install(runner)?;
    let mut build = cargo();
    build.args(["build", "--release", "-p", "session-keeper-backend"]);
    build.args(["--bins", "--example", "million"]);
    runner.run("the backend for speed (cargo build)", &mut build)?;
    let mut helper = cargo();
    helper.args(["build", "-p", "session-keeper-services"]);
    runner.run("the stores' helper (cargo build)", &mut helper)?;
    // The first core is for whichever server is measured.
    let mut node = Command::new("taskset");
    node.args(["--cpu-list", &format!("1-{}", last_core()?)])
        .args(["node", "bench/backend/run.mjs"])
        .args(wishes)
        .env("CARGO_TARGET_DIR", &workspace.target);
    services.pass_to(&mut node);
    show(&mut node)
}

fn find_or_install_wrk(runner: &Runner) -> Result<(), Failure> {
    if find_program("taskset").is_none() {
        let text = "taskset was not found: the figures for a core need Linux and util-linux";
        return Err(Failure::Missing(text.into()));
    }
    if find_program("wrk").is_none() && apt::is_usable() {
        apt::install(runner, "wrk", &["wrk"])?;
    }
    match find_program("wrk") {
        Some(_) => Ok(()),
        None => Err(Failure::Missing(
            "wrk was not found: run `apt-get install wrk` as root, or put it into PATH".into(),
        )),
    }
}

fn last_core() -> Result<usize, Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        let text = "this machine has one core: the server and the load need one each";
        return Err(Failure::Missing(text.into()));
    }
    Ok(cores - 1)
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
