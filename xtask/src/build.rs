//! `cargo xtask build`: the npm package, in `dist/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup;
use crate::stamp::Stamp;
use crate::wasm;
use crate::workspace::Workspace;

/// The adapters for frameworks and clients, each an entry of its own.
pub(crate) const ADAPTERS: [&str; 10] =
    ["angular", "angular-http", "axios", "ky", "next", "query", "react", "solid", "svelte", "vue"];

/// Entries that carry the face. The wasm travels in the first one.
const FACES: [&str; 2] = ["index", "slim"];

/// What stands in for globals of that name: see there.
const INJECTED: &str = "--inject:js/src/text-coding.ts";

/// The oldest engines that the package promises to run in.
const ENGINES: &str = "--target=es2022,chrome97,firefox102,safari16";

/// What every bundle is made with.
const OPTIONS: [&str; 6] = [
    "--bundle",
    "--platform=neutral",
    "--minify-syntax",
    "--sourcemap",
    "--legal-comments=none",
    ENGINES,
];

/// Its libraries are the app's, which has one of each.
const LIBRARIES_OUTSIDE: &str = "--packages=external";

/// For a page without a bundler: `window.sessionKeeper`.
const GLOBAL: [&str; 4] =
    ["js/src/index.ts", "--format=iife", "--global-name=sessionKeeper", "--minify"];

/// The demo's package: the same face on a wasm that hands out traces.
const TRACED: &str = "\
export * from \"./index.js\";
export { trace } from \"../generated/glue.js\";
";

const STAMP: &str = "stamps/bundle";

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
    bundle(workspace, runner, &dist, &built.core)?;
    Ok(Package { dist, wasm: built.core })
}

/// The package as the demo serves it, with one more export, `trace`. Returns its folder.
pub(crate) fn run_traced(workspace: &Workspace, runner: &Runner) -> Result<PathBuf, Failure> {
    setup::node_modules(workspace, runner)?;
    setup::wasm_target(runner)?;
    let folder = workspace.scratch("demo");
    wasm::run_traced(workspace, runner, &folder.join("generated"))?;
    let (from, source) = (workspace.root.join("js/src"), folder.join("src"));
    wasm::make_folder(&source)?;
    for entry in fs::read_dir(&from).map_err(|error| Failure::io("read", &from, &error))? {
        let file = entry.map_err(|error| Failure::io("read", &from, &error))?;
        wasm::copy(&file.path(), &source.join(file.file_name()))?;
    }
    let entry = source.join("traced.ts");
    wasm::write(&entry, TRACED)?;
    let dist = folder.join("dist");
    let mut esbuild = workspace.npm_tool("esbuild");
    esbuild.arg(&entry).args(OPTIONS).args([
        format!("--inject:{}", source.join("text-coding.ts").display()),
        "--format=esm".to_owned(),
        format!("--outfile={}", dist.join("index.js").display()),
    ]);
    runner.run("the demo's package (esbuild)", &mut esbuild)?;
    Ok(dist)
}

/// Forgets that `dist/` is up to date.
pub(crate) fn forget(workspace: &Workspace) -> Result<(), Failure> {
    let stamp = workspace.scratch(STAMP);
    fs::remove_file(&stamp).map_err(|error| Failure::io("remove", &stamp, &error))
}

fn bundle(workspace: &Workspace, runner: &Runner, dist: &Path, core: &Path) -> Result<(), Failure> {
    let root = &workspace.root;
    let stamp = Stamp::new(workspace.scratch(STAMP))
        .path(&root.join("js/src"))?
        .path(&root.join("js/adapters"))?
        .path(&root.join(wasm::GENERATED))?
        .path(&root.join("js/types.d.ts"))?
        .path(&root.join("js/slim.d.ts"))?
        .path(&root.join("xtask/finish-dist.mjs"))?
        .path(&root.join("package-lock.json"))?
        .path(core)?
        .text((ADAPTERS, FACES, INJECTED, OPTIONS, LIBRARIES_OUTSIDE, GLOBAL));
    if stamp.is_fresh(&outputs(dist).iter().map(PathBuf::as_path).collect::<Vec<_>>()) {
        return Ok(());
    }
    // What an earlier state of the sources left would be published.
    if dist.exists() {
        fs::remove_dir_all(dist).map_err(|error| Failure::io("empty", dist, &error))?;
    }
    wasm::make_folder(dist)?;
    let faces = FACES.map(|name| format!("js/src/{name}.ts"));
    let adapters = ADAPTERS.map(|name| format!("js/adapters/{name}.ts"));
    for format in ["esm", "cjs"] {
        esbuild(workspace, runner, dist, format, &faces, INJECTED)?;
        esbuild(workspace, runner, dist, format, &adapters, LIBRARIES_OUTSIDE)?;
    }
    // It needs to know its own address, which only a module does.
    esbuild(workspace, runner, dist, "esm", &["js/src/wasm-url.ts".into()], LIBRARIES_OUTSIDE)?;
    let mut global = workspace.npm_tool("esbuild");
    global.args(OPTIONS).args(GLOBAL).arg(INJECTED);
    global.arg(format!("--outfile={}", dist.join("global.js").display()));
    runner.run("dist/global.js (esbuild)", &mut global)?;
    wasm::copy(core, &dist.join("core.wasm"))?;
    declare(workspace, runner, dist)?;
    stamp.save()
}

fn esbuild(
    workspace: &Workspace,
    runner: &Runner,
    dist: &Path,
    format: &str,
    entries: &[String],
    more: &str,
) -> Result<(), Failure> {
    let extension = if format == "cjs" { "cjs" } else { "js" };
    let mut esbuild = workspace.npm_tool("esbuild");
    esbuild
        .args(entries)
        .args(OPTIONS)
        .args([more, &format!("--format={format}"), &format!("--out-extension:.js=.{extension}")])
        .arg(format!("--outdir={}", dist.display()));
    let name = Path::new(&entries[0]).file_stem().unwrap_or_default().display();
    runner.run(&format!("dist/{name}.{extension} (esbuild)"), &mut esbuild)
}

/// Declarations: the face's by hand, those of the adapters by the compiler.
fn declare(workspace: &Workspace, runner: &Runner, dist: &Path) -> Result<(), Failure> {
    let folder = workspace.scratch("declarations");
    let mut tsc = workspace.npm_tool("tsc");
    tsc.args(["-p", "js/adapters", "--outDir"]).arg(&folder);
    runner.run("declarations of the adapters (tsc)", &mut tsc)?;
    let mut finish = Command::new("node");
    finish.arg("xtask/finish-dist.mjs").arg(dist).arg(folder.join("adapters"));
    runner.run("declarations and source maps", &mut finish)
}

fn outputs(dist: &Path) -> Vec<PathBuf> {
    let twice = FACES.iter().chain(&ADAPTERS);
    let files = twice.flat_map(|name| {
        ["js", "cjs", "d.ts", "d.cts"].map(|extension| format!("{name}.{extension}"))
    });
    let once = ["global.js", "global.d.ts", "wasm-url.js", "wasm-url.d.ts", "core.wasm"];
    files.chain(once.map(str::to_owned)).map(|file| dist.join(file)).collect()
}
