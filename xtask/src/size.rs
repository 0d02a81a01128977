//! `cargo xtask size`: the bytes that `import { createKeeper }` costs a page, and their budget.
//!
//! And what each adapter adds, with a budget too. The sum is what counts; the parts tell where it comes from and compress a little worse alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::build::{self, Package};
use crate::failure::Failure;
use crate::runner::Runner;
use crate::wasm;
use crate::workspace::Workspace;

const BUDGET: &str = "xtask/size-budget.json";
const ENTRY: &str = "import { createKeeper } from \"session-keeper\";\ncreateKeeper();\n";

pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let package = build::run(workspace, runner)?;
    let parts = parts(workspace, runner, &package)?;
    let sizes = measure(runner, &parts)?;
    println!("\n  {:<28}{:>9}{:>9}{:>9}", "bytes, minified", "raw", "gzip", "brotli");
    for ((name, _), [raw, gzip, brotli]) in parts.iter().zip(&sizes) {
        println!("  {name:<28}{raw:>9}{gzip:>9}{brotli:>9}");
    }
    let file = workspace.root.join(BUDGET);
    let asked = limit(&file, "askedGzipBytes")?;
    let budget = limit(&file, "deliveredGzipBytes")?;
    let delivered = sizes.first().map_or(u64::MAX, |[_, gzip, _]| *gzip);
    println!("  {:<28}{:>9}{asked:>9}", "asked for", "");
    println!("  {:<28}{:>9}{budget:>9}\n", "budget, fails the build", "");
    held("delivered", delivered, budget)?;
    adapters(workspace, runner, &package, limit(&file, "adapterGzipBytes")?)
}

/// What each adapter adds, and the entry without the wasm, beside its file.
fn adapters(
    workspace: &Workspace,
    runner: &Runner,
    package: &Package,
    budget: u64,
) -> Result<(), Failure> {
    let folder = workspace.scratch("size");
    let mut parts = Vec::new();
    for name in build::ADAPTERS.into_iter().chain(["slim"]) {
        let output = folder.join(format!("{name}.js"));
        let entry = package.dist.join(format!("{name}.js"));
        minify(workspace, runner, &entry, &output, &["--packages=external"])?;
        parts.push((name, output));
    }
    let sizes = measure(runner, &parts)?;
    println!("  {:<28}{:>9}{:>9}{:>9}", "entries beside the main one", "raw", "gzip", "brotli");
    for ((name, _), [raw, gzip, brotli]) in parts.iter().zip(&sizes) {
        println!("  /{name:<27}{raw:>9}{gzip:>9}{brotli:>9}");
    }
    println!("  {:<28}{:>9}{budget:>9}\n", "budget of an adapter", "");
    let mut adapters = parts.iter().zip(&sizes).take(build::ADAPTERS.len());
    adapters.try_for_each(|((name, _), [_, gzip, _])| held(name, *gzip, budget))
}

/// Each part with its file, what is delivered first.
fn parts(
    workspace: &Workspace,
    runner: &Runner,
    package: &Package,
) -> Result<[(&'static str, PathBuf); 4], Failure> {
    let folder = workspace.scratch("size");
    wasm::make_folder(&folder)?;
    let entry = folder.join("entry.mjs");
    wasm::write(&entry, ENTRY)?;
    let delivered = folder.join("delivered.js");
    let glue = folder.join("glue.js");
    let face = folder.join("face.js");
    let alias = format!("--alias:session-keeper={}", package.dist.join("index.js").display());
    minify(workspace, runner, &entry, &delivered, &[&alias])?;
    let generated = workspace.root.join(wasm::GENERATED);
    minify(workspace, runner, &generated.join("glue.js"), &glue, &[])?;
    let source = workspace.root.join("js/src/index.ts");
    minify(workspace, runner, &source, &face, &["--external:*/glue.js", "--external:*/bytes.js"])?;
    Ok([
        ("delivered, all included", delivered),
        ("  wasm (as a file)", package.wasm.clone()),
        ("  glue of wasm-bindgen", glue),
        ("  face in TypeScript", face),
    ])
}

fn minify(
    workspace: &Workspace,
    runner: &Runner,
    entry: &Path,
    output: &Path,
    options: &[&str],
) -> Result<(), Failure> {
    let mut esbuild = workspace.npm_tool("esbuild");
    esbuild
        .args(["--bundle", "--minify", "--format=esm", "--log-level=warning"])
        .args(options)
        .arg(format!("--outfile={}", output.display()))
        .arg(entry);
    runner.read("esbuild", &mut esbuild).map(drop)
}

fn measure(runner: &Runner, parts: &[(&str, PathBuf)]) -> Result<Vec<[u64; 3]>, Failure> {
    let mut node = Command::new("node");
    node.arg("xtask/measure.mjs").args(parts.iter().map(|(_, file)| file));
    let lines = runner.read("measure", &mut node)?;
    let sizes: Option<Vec<_>> = lines.lines().map(sizes_of).collect();
    sizes.ok_or_else(|| Failure::Io("xtask/measure.mjs printed what is no size".into()))
}

fn sizes_of(line: &str) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

fn limit(file: &Path, name: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))?;
    let budget: Option<Value> = serde_json::from_str(&text).ok();
    budget
        .and_then(|budget| budget[name].as_u64())
        .ok_or_else(|| Failure::Io(format!("{BUDGET} must hold the number {name}")))
}

fn held(what: &str, size: u64, budget: u64) -> Result<(), Failure> {
    if size <= budget {
        return Ok(());
    }
    let over = size - budget;
    Err(Failure::Broken(format!(
        "{what}: {size} bytes gzip, {over} over the budget of {BUDGET}: make it smaller"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_over_the_budget_fails_and_says_by_how_much() {
        assert!(held("delivered", 29_500, 29_500).is_ok());
        let Err(Failure::Broken(text)) = held("delivered", 29_501, 29_500) else {
            panic!("the budget did not hold");
        };
        assert!(text.contains("29501") && text.contains(" 1 over"), "{text}");
    }

    #[test]
    fn a_line_of_the_measurement_is_three_numbers() {
        assert_eq!(sizes_of("300 200 100"), Some([300, 200, 100]));
        assert_eq!(sizes_of("300 200"), None);
    }
}
