//! Fetches what a fresh machine lacks: node modules, the wasm target, rustup's components.
//!
//! Rule: nothing here downloads a browser or a binary by itself; it asks npm, rustup or apt, or
//! says what to install.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::runner::Runner;
use crate::stamp::Stamp;
use crate::workspace::{Workspace, cargo};

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The packages that package-lock.json pins.
pub(crate) fn node_modules(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    if find_program("npm").is_none() {
        return Err(Failure::Missing("npm was not found: install Node.js 20.19 or later".into()));
    }
    let modules = workspace.root.join("node_modules");
    let stamp =
        Stamp::new(modules.join(".session-keeper")).path(&workspace.root.join("package-lock.json"));
    let stamp = stamp?;
    if stamp.is_fresh(&[&modules.join(".bin/esbuild")]) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    runner.run("node modules (npm ci)", npm.args(["ci", "--no-fund", "--no-audit"]))?;
    stamp.save()
}

/// The standard library for wasm. rust-toolchain.toml asks for it, but a toolchain that was
/// installed before may lack it.
pub(crate) fn wasm_target(runner: &Runner) -> Result<(), Failure> {
    let mut rustc = Command::new("rustc");
    let folder =
        runner.read("rustc", rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]))?;
    if PathBuf::from(folder.trim()).exists() {
        return Ok(());
    }
    rustup(runner, &["target", "add", WASM_TARGET])
}

/// Where the toolchain lies.
pub(crate) fn sysroot(runner: &Runner) -> Result<PathBuf, Failure> {
    let printed = runner.read("rustc", Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(printed.trim()))
}

/// rustfmt and clippy.
pub(crate) fn rust_components(runner: &Runner) -> Result<(), Failure> {
    for component in ["fmt", "clippy"] {
        let found = cargo().args([component, "--version"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            return rustup(runner, &["component", "add", "rustfmt", "clippy"]);
        }
    }
    Ok(())
}

/// Where PATH has a program.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    let mut candidates = env::split_paths(&path).map(|folder| folder.join(&name));
    candidates.find(|candidate| candidate.is_file())
}

fn rustup(runner: &Runner, args: &[&str]) -> Result<(), Failure> {
    let line = format!("rustup {}", args.join(" "));
    if find_program("rustup").is_none() {
        let text = format!("rustup was not found: install it, or do yourself what `{line}` does");
        return Err(Failure::Missing(text));
    }
    runner.run(&line, Command::new("rustup").args(args))
}
