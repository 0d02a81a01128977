//! The way from the shell crate to the wasm and the glue that the TypeScript face imports.
//!
//! cargo → wasm-bindgen → wasm-opt → a check in an engine → `pack`. Rule: the same sources give the
//! same bytes on every machine, and no path of one is in them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::pack;
use crate::runner::Runner;
use crate::setup::{self, WASM_TARGET};
use crate::stamp::Stamp;
use crate::workspace::{Workspace, cargo};

/// The face's imports, git-ignored.
pub(crate) const GENERATED: &str = "js/generated";

const BINDGEN: [&str; 7] = [
    "bindgen",
    "--target=web",
    // The bytes are handed over; a default path would make bundlers emit a second wasm.
    "--omit-default-module-path",
    "--remove-name-section",
    "--remove-producers-section",
    "--out-name=glue",
    "--out-dir",
];

// Never --all-features: it writes forms of imports that no engine takes.
const OPTIMISE: [&str; 5] =
    ["-Oz", "--converge", "--strip-debug", "--strip-producers", "--strip-target-features"];

/// The linker's default stack is 1 MiB, which each page would hold. The deepest call of the end-to-end
/// tests needs a quarter of this one, and an overflow traps instead of overwriting data.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// What one build left behind.
#[derive(Debug)]
pub(crate) struct Built {
    /// The optimised wasm, as it is delivered.
    pub(crate) core: PathBuf,
}

/// Fills `js/generated`, where something changed.
pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<Built, Failure> {
    let crate_wasm = compile(workspace, runner, "npm")?;
    let tools = build_tools(workspace, runner)?;

    let folder = workspace.scratch("wasm");
    let core = folder.join("core.wasm");
    let generated = workspace.root.join(GENERATED);
    let lock = workspace.root.join("package-lock.json");
    let stamp = Stamp::new(workspace.scratch("stamps").join("wasm"))
        .path(&crate_wasm)?
        .path(&tools)?
        .path(&lock)?
        .text((BINDGEN, OPTIMISE, include_str!("pack.rs")));
    let outputs =
        ["glue.js", "glue.d.ts", "bytes.js", "bytes.d.ts"].map(|file| generated.join(file));
    let [glue, glue_types, bytes, bytes_types] = &outputs;
    if stamp.is_fresh(&[&core, glue, glue_types, bytes, bytes_types]) {
        return Ok(Built { core });
    }

    let bindgen = &mut Command::new(&tools);
    runner.run("wasm-bindgen", bindgen.args(BINDGEN).arg(&folder).arg(&crate_wasm))?;
    let optimise = &mut workspace.npm_tool("wasm-opt");
    optimise.args(OPTIMISE).arg(folder.join("glue_bg.wasm")).arg("-o").arg(&core);
    runner.run("wasm-opt", optimise)?;
    let check = &mut Command::new("node");
    runner.run("wasm check", check.arg("xtask/check-wasm.mjs").arg(&core))?;

    make_folder(&generated)?;
    copy(&folder.join("glue.js"), glue)?;
    copy(&folder.join("glue.d.ts"), glue_types)?;
    let wasm = fs::read(&core).map_err(|error| Failure::io("read", &core, &error))?;
    write(bytes, &pack::module(&wasm))?;
    write(bytes_types, pack::DECLARATION)?;
    stamp.save()?;
    Ok(Built { core })
}

/// Fills the folder with the glue and the bytes of the demo's wasm, which hands out traces. It is
/// not optimised: nobody pays for its bytes.
pub(crate) fn run_traced(
    workspace: &Workspace,
    runner: &Runner,
    generated: &Path,
) -> Result<(), Failure> {
    let crate_wasm = compile(workspace, runner, "trace")?;
    let tools = build_tools(workspace, runner)?;
    make_folder(generated)?;
    let bindgen = &mut Command::new(&tools);
    runner.run("wasm-bindgen", bindgen.args(BINDGEN).arg(generated).arg(&crate_wasm))?;
    let core = generated.join("glue_bg.wasm");
    let wasm = fs::read(&core).map_err(|error| Failure::io("read", &core, &error))?;
    write(&generated.join("bytes.js"), &pack::module(&wasm))
}

/// wasm-bindgen's generator and test runner, at Cargo.lock's version.
pub(crate) fn build_tools(workspace: &Workspace, runner: &Runner) -> Result<PathBuf, Failure> {
    runner.run("wasm tools (cargo build)", cargo().args(["build", "-p", "wasm-tools"]))?;
    Ok(workspace.binary("wasm-tools"))
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(drop).map_err(|error| Failure::io("copy", from, &error))
}

pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|error| Failure::io("write", file, &error))
}

/// What it leaves is overwritten by the next one with other features.
fn compile(workspace: &Workspace, runner: &Runner, feature: &str) -> Result<PathBuf, Failure> {
    // A folder of its own: with other flags in the same one, each build would evict the other's.
    let folder = workspace.target.join("wasm-package");
    let mut flags = vec![STACK.to_owned()];
    flags.extend(remapped_paths(workspace, &setup::sysroot(runner)?));
    let mut build = cargo();
    build
        .args(["rustc", "--profile", "wasm", "-p", "session-keeper", "--features", feature])
        // The manifest names an rlib too, and for two types at once cargo leaves out the LTO.
        .args(["--lib", "--crate-type", "cdylib", "--target", WASM_TARGET])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    runner.run("shell (cargo rustc for wasm)", &mut build)?;
    Ok(folder.join(WASM_TARGET).join("wasm/session_keeper.wasm"))
}

/// Without these, the paths of panics tell where the builder's home is, and the bytes differ from
/// one machine to the next.
fn remapped_paths(workspace: &Workspace, sysroot: &Path) -> Vec<String> {
    let home = |variable, default| {
        env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(default)))
    };
    // Of two that match rustc takes the later one.
    let named = [
        (home("CARGO_HOME", ".cargo"), "cargo"),
        (home("RUSTUP_HOME", ".rustup"), "rustup"),
        (Some(workspace.root.clone()), "src"),
        (Some(workspace.target.clone()), "target"),
        // The toolchain's folder is named after the machine's processor and system.
        (Some(sysroot.to_owned()), "rust"),
    ];
    let known = named.into_iter().filter_map(|(folder, name)| Some((folder?, name)));
    known.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect()
}
