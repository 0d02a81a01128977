//! Any bytes for what parses: each target of `fuzz/`, for a number of inputs from one seed.
//!
//! Rule: only the crates of this workspace are instrumented (`fuzz/instrument.sh`). What they
//! depend on is of the same features as that of what was built before, so that none of it is built
//! a second time.
//!
//! libFuzzer is C++: without a compiler for it nothing here runs, which is a failure in CI only. An
//! input that breaks something is kept in `target/xtask/fuzz/`, and is run again by
//! `target/debug/TARGET FILE`.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};

use crate::apt;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::services::is_ci;
use crate::setup::find_program;
use crate::wasm;
use crate::workspace::{Workspace, cargo};

pub(crate) const PACKAGE: &str = "session-keeper-fuzz";

/// The targets, and how many inputs: the slowest two take half a minute, at the same time.
const TARGETS: [(&str, &str); 3] =
    [("tokens", "150000"), ("keys_and_files", "110000"), ("http", "12000")];

/// What each input may take, in seconds and MiB: beyond it somebody found a way to be expensive.
/// All lengths from the start: that they grow by and by is for runs of hours.
const BOUNDS: [&str; 4] = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=512", "-len_control=0"];

/// `beside` are the arguments for cargo that name what is built already. Returns why nothing was
/// run.
pub(crate) fn run(
    workspace: &Workspace,
    runner: &Runner,
    beside: &[&str],
) -> Result<Option<String>, Failure> {
    if let Some(missing) = find_or_install_compiler(runner) {
        return if is_ci(env::var_os("CI")) {
            Err(Failure::Missing(missing))
        } else {
            Ok(Some(missing))
        };
    }
    let mut build = cargo();
    build
        .env("RUSTC_WORKSPACE_WRAPPER", workspace.root.join("fuzz/instrument.sh"))
        .arg("build")
        .args(beside);
    for (target, _) in TARGETS {
        build.args(["--bin", target]);
    }
    runner.run("fuzz targets (cargo build)", &mut build)?;
    // Each has one thread.
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running = TARGETS
            .map(|(target, runs)| scope.spawn(move || fuzz(workspace, runner, target, runs)));
        running.into_iter().map(ScopedJoinHandle::join).collect()
    });
    for outcome in outcomes {
        outcome.expect("a target's thread does not panic")?;
    }
    Ok(None)
}

fn fuzz(workspace: &Workspace, runner: &Runner, target: &str, runs: &str) -> Result<(), Failure> {
    // What an earlier run learnt would make this one another.
    let folder = workspace.scratch("fuzz").join(target);
    let learnt = folder.join("corpus");
    if learnt.exists() {
        fs::remove_dir_all(&learnt).map_err(|error| Failure::io("empty", &learnt, &error))?;
    }
    wasm::make_folder(&learnt)?;
    let mut program = Command::new(workspace.binary(target));
    program.args([&format!("-runs={runs}"), "-seed=1"]).args(BOUNDS);
    program.arg(format!("-artifact_prefix={}/", folder.display()));
    // It writes what it learns into the first, and only reads the second.
    program.arg(learnt).arg(Path::new("fuzz/corpus").join(target));
    runner.run(&format!("{runs} inputs for {target}"), &mut program)
}

/// Says what to install where there is none.
fn find_or_install_compiler(runner: &Runner) -> Option<String> {
    let is_found = || env::var_os("CXX").is_some() || find_program("c++").is_some();
    if !is_found() && apt::is_usable() {
        // One that fails has said why, and what is missing then is told below.
        let installed = apt::install(runner, "C++ compiler", &["g++"]);
        installed.unwrap_or_else(|failure| println!("  {failure}"));
    }
    let missing = "c++ not found: run `apt-get install g++` as root, or set CXX to a C++ compiler";
    (!is_found()).then(|| missing.to_owned())
}
