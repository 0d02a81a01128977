//! The tarball that would be published: packed, looked at, and tried with what apps are made with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::Browser;
use crate::build;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::test::node_tests;
use crate::wasm;
use crate::workspace::Workspace;

/// Looks at the very tarball that would be published.
pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let folder = workspace.scratch("package");
    let first = fs::read(pack(workspace, runner)?);
    build::forget(workspace)?;
    build::run(workspace, runner)?;
    let tarball = pack(workspace, runner)?;
    let same = first.is_ok_and(|first| fs::read(&tarball).is_ok_and(|second| first == second));
    if !same {
        return Err(Failure::Broken("two builds of the same sources give two tarballs".into()));
    }
    let mut publint = workspace.npm_tool("publint");
    runner.run("publint", publint.arg(&tarball).arg("--strict"))?;
    let mut attw = workspace.npm_tool("attw");
    attw.arg(&tarball).args(["--exclude-entrypoints", "core.wasm", "wasm-url", "global"]);
    runner.run("types of each way to resolve (attw)", &mut attw)?;
    let mut tar = Command::new("tar");
    runner.run("unpack", tar.arg("-xzf").arg(&tarball).arg("-C").arg(&folder))?;
    let mut check = Command::new("node");
    check.arg("xtask/check-package.mjs").arg(folder.join("package"));
    runner.run("import and require", &mut check)?;
    runner.run("consumers (node --test)", &mut consumers(workspace, runner, &tarball)?)
}

/// `cargo xtask consumers`: all of them, with the table of sizes as their own output has it.
pub(crate) fn every_consumer(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    build::run(workspace, runner)?;
    let tarball = pack(workspace, runner)?;
    let table = workspace.scratch("consumers.txt");
    let mut node = consumers(workspace, runner, &tarball)?;
    node.env("CONSUMERS", "all").env("CONSUMERS_TABLE", &table);
    runner.run("all consumers (node --test)", &mut node)?;
    let text = fs::read_to_string(&table).map_err(|error| Failure::io("read", &table, &error))?;
    println!("{text}");
    Ok(())
}

/// Packs as for publishing, into an empty folder.
fn pack(workspace: &Workspace, runner: &Runner) -> Result<PathBuf, Failure> {
    let folder = workspace.scratch("package");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| Failure::io("empty", &folder, &error))?;
    }
    wasm::make_folder(&folder)?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", "--pack-destination"]).arg(&folder);
    let printed = runner.read("npm pack", &mut pack)?;
    Ok(folder.join(printed.trim()))
}

/// The packed package in the hands of the tools that apps are made with, and in Chromium.
fn consumers(workspace: &Workspace, runner: &Runner, tarball: &Path) -> Result<Command, Failure> {
    let browser = Browser::find_or_install(runner)?;
    let mut node = node_tests("tests/packaging", &[])?;
    node.env("CHROME", &browser.chrome)
        .env("CARGO_TARGET_DIR", &workspace.target)
        .env("PACKAGE_TARBALL", tarball);
    Ok(node)
}
