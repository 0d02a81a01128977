//! `cargo xtask build`: the npm package, in `dist/`.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup;
use crate::stamp::Stamp;
use crate::wasm;
use crate::workspace::Workspace;

const ENTRY: &str = "js/src/index.ts";

/// What stands in for globals of that name: see there.
const INJECTED: &str = "--inject:js/src/text-coding.ts";

/// The oldest engines that the package promises to run in.
const ENGINES: &str = "--target=es2022,chrome97,firefox102,safari16";

/// Each format with its file.
const FORMATS: [(&str, &str); 2] = [("esm", "index.js"), ("cjs", "index.cjs")];

/// The same text for both: a type that `import` and `require` see must say which of them it is for.
const DECLARATIONS: [&str; 2] = ["index.d.ts", "index.d.cts"];

/// What one build left behind.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) dist: PathBuf,
    pub(crate) wasm: PathBuf,
}

pub(crate) fn run(workspace: &Workspace, runner: &Runner) -> Result<Package, Failure> {
    setup::node_modules(workspace, runner)?;
    setup::wasm_target(runner)?;
    let built = wasm::run(workspace, runner)?;
    let dist = workspace.root.join("dist");
    bundle(workspace, runner, &dist)?;
    Ok(Package { dist, wasm: built.core })
}

fn bundle(workspace: &Workspace, runner: &Runner, dist: &Path) -> Result<(), Failure> {
    let root = &workspace.root;
    let stamp = Stamp::new(workspace.scratch("stamps").join("bundle"))
        .path(&root.join("js/src"))?
        .path(&root.join(wasm::GENERATED))?
        .path(&root.join("js/types.d.ts"))?
        .path(&root.join("package-lock.json"))?
        .text((ENTRY, INJECTED, ENGINES, FORMATS, DECLARATIONS));
    let outputs = FORMATS.map(|(_, file)| dist.join(file));
    let types = DECLARATIONS.map(|file| dist.join(file));
    if stamp.is_fresh(&[&outputs[0], &outputs[1], &types[0], &types[1]]) {
        return Ok(());
    }
    wasm::make_folder(dist)?;
    for ((format, file), output) in FORMATS.iter().zip(&outputs) {
        let mut esbuild = workspace.npm_tool("esbuild");
        esbuild
            .args([
                ENTRY,
                "--bundle",
                "--platform=neutral",
                "--minify-syntax",
                "--legal-comments=none",
                INJECTED,
                ENGINES,
            ])
            .args([format!("--format={format}"), format!("--outfile={}", output.display())]);
        runner.run(&format!("dist/{file} (esbuild)"), &mut esbuild)?;
    }
    for file in &types {
        wasm::copy(&root.join("js/types.d.ts"), file)?;
    }
    stamp.save()
}
