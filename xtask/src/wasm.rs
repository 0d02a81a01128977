//! The way from the shell crate to the wasm and the glue that the TypeScript face imports.
//!
//! cargo → wasm-bindgen → wasm-opt → a check in an engine → hex. Hex and not base64, because base64
//! breaks the alignment of bytes and compresses badly.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup::WASM_TARGET;
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

const BYTES_DECLARATION: &str =
    "/** The wasm. */\nexport function bytes(): Uint8Array<ArrayBuffer>;\n";

/// What one build left behind.
#[derive(Debug)]
pub(crate) struct Built {
    /// The optimised wasm, as it is delivered.
    pub(crate) core: PathBuf,
}

/// Fills `js/generated`, where something changed.
pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<Built, Failure> {
    let crate_wasm = compile(workspace, runner)?;
    let tools = build_tools(workspace, runner)?;

    let folder = workspace.scratch("wasm");
    let core = folder.join("core.wasm");
    let generated = workspace.root.join(GENERATED);
    let lock = workspace.root.join("package-lock.json");
    let stamp = Stamp::new(workspace.scratch("stamps").join("wasm"))
        .path(&crate_wasm)?
        .path(&tools)?
        .path(&lock)?
        .text((BINDGEN, OPTIMISE, encode(&[]), BYTES_DECLARATION));
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
    write(bytes, &encode(&wasm))?;
    write(bytes_types, BYTES_DECLARATION)?;
    stamp.save()?;
    Ok(Built { core })
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

fn compile(workspace: &Workspace, runner: &Runner) -> Result<PathBuf, Failure> {
    let mut build = cargo();
    build
        .args(["build", "--release", "-p", "session-keeper", "--features", "npm"])
        .args(["--lib", "--target", WASM_TARGET])
        .env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(workspace).join("\u{1f}"));
    runner.run("shell (cargo build for wasm)", &mut build)?;
    Ok(workspace.target.join(WASM_TARGET).join("release/session_keeper.wasm"))
}

/// Without these, the paths of panics tell where the builder's home is, and the bytes differ from
/// one machine to the next.
fn remapped_paths(workspace: &Workspace) -> Vec<String> {
    let home = |variable, default| {
        env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(default)))
    };
    let named = [
        (home("CARGO_HOME", ".cargo"), "cargo"),
        (home("RUSTUP_HOME", ".rustup"), "rustup"),
        (Some(workspace.target.clone()), "target"),
        (Some(workspace.root.clone()), "src"),
    ];
    let known = named.into_iter().filter_map(|(folder, name)| Some((folder?, name)));
    known.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect()
}

/// A module that exports the bytes as `bytes()`.
fn encode(wasm: &[u8]) -> String {
    let hex: String = wasm.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("const hex = \"{hex}\";\n{DECODE}")
}

/// Engines before 2025 have no `Uint8Array.fromHex`.
const DECODE: &str = r"
export function bytes() {
  if (Uint8Array.fromHex) return Uint8Array.fromHex(hex);
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_written_as_two_lower_case_digits_each() {
        let module = encode(b"\0asm\x01\xff");
        assert!(module.starts_with("const hex = \"0061736d01ff\";\n"), "{module}");
    }
}
