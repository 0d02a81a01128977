//! `cargo xtask test`: everything that CI runs, cheapest first, stopping at the first failure.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::Browser;
use crate::demo;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::services::Services;
use crate::setup::{self, WASM_TARGET};
use crate::wasm;
use crate::workspace::{Workspace, cargo};
use crate::{build, fuzz, package, size, tidy};

/// The servers' tests and the simulation, without the slowest part of the workspace: wasm-tools is
/// a main function around two calls, and its dependencies take minutes.
/// The fuzz targets have a step of their own.
const WITHOUT_TOOLS: [&str; 5] =
    ["--workspace", "--exclude", "wasm-tools", "--exclude", fuzz::PACKAGE];
const SIM_SEEDS: &str = "2000";
/// Redis and PostgreSQL for tests that are not in Rust.
const SERVICES: &str = "session-keeper-services";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Fmt,
    Prettier,
    Tidy,
    Clippy,
    Doc,
    Native,
    Sim,
    Build,
    Size,
    Types,
    Face,
    Servers,
    Api,
    Fuzz,
    Shell,
    Package,
    E2e,
    Others,
}

const STEPS: [(Step, &str); 18] = [
    (Step::Fmt, "fmt"),
    (Step::Prettier, "prettier"),
    (Step::Tidy, "tidy"),
    (Step::Clippy, "clippy"),
    (Step::Doc, "doc"),
    (Step::Native, "native"),
    (Step::Sim, "sim"),
    (Step::Build, "build"),
    (Step::Size, "size"),
    (Step::Types, "types"),
    (Step::Face, "face"),
    (Step::Servers, "servers"),
    (Step::Api, "api"),
    (Step::Fuzz, "fuzz"),
    (Step::Shell, "shell"),
    (Step::Package, "package"),
    (Step::E2e, "e2e"),
    (Step::Others, "others"),
];

/// The steps to run, in their order, with those that they need.
#[derive(Debug, PartialEq)]
pub(crate) struct Selection(Vec<(Step, &'static str)>);

impl Selection {
    pub(crate) fn all() -> Self {
        Self(STEPS.to_vec())
    }

    /// `names` is a list with commas.
    pub(crate) fn only(names: &str) -> Result<Self, Failure> {
        let mut wanted = Vec::new();
        for name in names.split(',') {
            let Some((step, _)) = STEPS.iter().find(|(_, known)| *known == name) else {
                let text = format!("`{name}` is no step of test: {}", self::names());
                return Err(Failure::Usage(text));
            };
            wanted.push(*step);
            wanted.extend(step.needs());
        }
        let chosen = STEPS.iter().filter(|(step, _)| wanted.contains(step));
        Ok(Self(chosen.copied().collect()))
    }

    fn has(&self, step: Step) -> bool {
        self.0.iter().any(|(chosen, _)| *chosen == step)
    }
}

pub(crate) fn names() -> String {
    STEPS.map(|(_, name)| name).join(", ")
}

pub(crate) fn run(
    workspace: &Workspace,
    runner: &Runner,
    selection: &Selection,
) -> Result<(), Failure> {
    set_up(workspace, runner)?;
    let mut summary = Vec::new();
    for (step, name) in &selection.0 {
        println!("{name}");
        let start = Instant::now();
        let outcome = step.run(workspace, runner, selection);
        let took = start.elapsed();
        let word = match &outcome {
            Ok(Outcome::Passed) => "passed".into(),
            Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
            Ok(Outcome::Partly(left_out)) => format!("passed IN PART: {left_out}"),
            Err(_) => "FAILED".into(),
        };
        println!("{name}: {word} ({})", seconds(took));
        summary.push((*name, word, took));
        if outcome.is_err() {
            print_summary(&summary, selection);
            outcome?;
        }
    }
    print_summary(&summary, selection);
    Ok(())
}

fn set_up(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    println!("set-up");
    setup::node_modules(workspace, runner)?;
    setup::rust_components(runner)?;
    setup::wasm_target(runner)
}

fn print_summary(summary: &[(&str, String, Duration)], selection: &Selection) {
    println!("\nsummary");
    for (name, word, took) in summary {
        println!("  {name:<9} {:>8}  {word}", seconds(*took));
    }
    for (_, name) in selection.0.iter().skip(summary.len()) {
        println!("  {name:<9} {:>8}  not run", "");
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Skipped(&'static str),
    /// Without the tests that need what is named.
    Partly(String),
}

impl Step {
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Types | Self::Face | Self::Package => &[Self::Build],
            Self::E2e => &[Self::Build, Self::Servers],
            Self::Others => &[Self::Build],
            Self::Api | Self::Fuzz => &[Self::Servers],
            Self::Fmt
            | Self::Prettier
            | Self::Tidy
            | Self::Clippy
            | Self::Doc
            | Self::Native
            | Self::Sim
            | Self::Build
            | Self::Size
            | Self::Servers
            | Self::Shell => &[],
        }
    }

    fn run(
        self,
        workspace: &Workspace,
        runner: &Runner,
        selection: &Selection,
    ) -> Result<Outcome, Failure> {
        match self {
            Self::Fmt => runner.run("cargo fmt", cargo().args(["fmt", "--all", "--check"]))?,
            Self::Prettier => prettier(workspace, runner)?,
            Self::Tidy => tidy::run(workspace)?,
            Self::Clippy => clippy(runner)?,
            Self::Doc => doc(runner)?,
            Self::Native => return native(runner),
            Self::Sim => return sim(workspace, runner),
            Self::Build => build::run(workspace, runner).map(drop)?,
            Self::Size => size::run(workspace, runner)?,
            Self::Types => types(workspace, runner)?,
            Self::Face => face(workspace, runner)?,
            Self::Servers if selection.has(Self::Native) => tested_servers(runner)?,
            Self::Servers => demo::build_servers(runner, &[SERVICES])?,
            Self::Api => api(workspace, runner)?,
            Self::Fuzz => {
                let mut beside = vec!["--workspace", "--exclude", "wasm-tools"];
                if !selection.has(Self::Native) {
                    beside = demo::servers(&[SERVICES, fuzz::PACKAGE]);
                }
                let left_out = fuzz::run(workspace, runner, &beside)?;
                return Ok(left_out.map_or(Outcome::Passed, Outcome::Partly));
            }
            Self::Shell => shell(workspace, runner)?,
            Self::Package => package::run(workspace, runner)?,
            Self::E2e => return end_to_end(workspace, runner),
            Self::Others => {
                let mut tests = in_browser(workspace, runner, "tests/servers")?;
                runner.run("servers of others (node --test)", &mut tests)?;
            }
        }
        Ok(Outcome::Passed)
    }
}

fn prettier(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let mut prettier = workspace.npm_tool("prettier");
    runner.run("prettier", prettier.args(["--check", "."]))
}

fn clippy(runner: &Runner) -> Result<(), Failure> {
    let strict = ["--", "-D", "warnings"];
    let mut native = cargo();
    // Without what is on by default: that is libFuzzer, which would be compiled.
    native.args(["clippy", "--workspace", "--exclude", "wasm-tools", "--no-default-features"]);
    native.arg("--all-targets").args(strict);
    runner.run("clippy", &mut native)?;
    let mut browser = cargo();
    browser
        .args(["clippy", "-p", "session-keeper", "--features", "npm", "--all-targets"])
        .args(["--target", WASM_TARGET])
        .args(strict);
    runner.run("clippy for wasm", &mut browser)
}

fn doc(runner: &Runner) -> Result<(), Failure> {
    let mut doc = cargo();
    doc.arg("doc").args(WITHOUT_TOOLS).arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings");
    runner.run("cargo doc", &mut doc)
}

fn native(runner: &Runner) -> Result<Outcome, Failure> {
    let services = Services::find_or_install(runner)?;
    let mut test = cargo();
    test.arg("test").args(WITHOUT_TOOLS);
    services.pass_to(&mut test);
    runner.run("cargo test", &mut test)?;
    Ok(services.left_out().map_or(Outcome::Passed, Outcome::Partly))
}

/// The servers that their tests have run: with the features of those, which are not the same as
/// those of the servers alone, so that nothing is compiled again.
fn tested_servers(runner: &Runner) -> Result<(), Failure> {
    let mut build = cargo();
    build.arg("test").args(WITHOUT_TOOLS).arg("--no-run");
    runner.run("servers (cargo test --no-run)", &mut build)
}

fn sim(workspace: &Workspace, runner: &Runner) -> Result<Outcome, Failure> {
    if !workspace.has("session-keeper-sim", "bin") {
        return Ok(Outcome::Skipped("the simulation has no binary"));
    }
    let mut sim = cargo();
    sim.args(["run", "--release", "-p", "session-keeper-sim", "--", "--seeds", SIM_SEEDS]);
    runner.run("simulation", &mut sim)?;
    Ok(Outcome::Passed)
}

fn types(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    runner.run("types of the face (tsc)", &mut workspace.npm_tool("tsc"))?;
    runner.run(
        "types as a user sees them (tsc)",
        workspace.npm_tool("tsc").args(["-p", "tests/types"]),
    )
}

/// The face, in Node.
fn face(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let mut node = node_tests("js/test", &["--test-concurrency=2"])?;
    node.env("CARGO_TARGET_DIR", &workspace.target);
    runner.run("face (node --test)", &mut node)
}

/// The reference backend, asked what its OpenAPI document allows and what it does not.
fn api(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let mut node = Command::new("node");
    node.arg("tests/api/run.mjs").env("CARGO_TARGET_DIR", &workspace.target);
    runner.run("OpenAPI (schemathesis)", &mut node)
}

/// The shell's own tests, in Chromium.
fn shell(workspace: &Workspace, runner: &Runner) -> Result<(), Failure> {
    let browser = Browser::find_or_install(runner)?;
    let tools = wasm::build_tools(workspace, runner)?;
    let mut test = cargo();
    test.args(["test", "-p", "session-keeper", "--lib", "--target", WASM_TARGET])
        .args(["--features", "serde"])
        .args(["--config", &runner_setting(&tools)])
        .env("CHROMEDRIVER", &browser.driver)
        .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", browser.write_capabilities(workspace)?);
    runner.run("shell in Chromium", &mut test)
}

/// An array, because cargo would split a line at the spaces of a path.
fn runner_setting(tools: &Path) -> String {
    let runner = json!([tools, "test-runner"]);
    format!("target.{WASM_TARGET}.runner={runner}")
}

/// The built package in Chromium, against the reference backend and its stores.
fn end_to_end(workspace: &Workspace, runner: &Runner) -> Result<Outcome, Failure> {
    let services = Services::find_or_install(runner)?;
    build::run_traced(workspace, runner)?;
    let mut tests = in_browser(workspace, runner, "tests/e2e")?;
    services.pass_to(&mut tests);
    runner.run("end to end (node --test)", &mut tests)?;
    Ok(services.left_out().map_or(Outcome::Passed, Outcome::Partly))
}

/// A folder's tests of the built package in Chromium, against real servers. Two files at once:
/// they wait for minutes and do little meanwhile, and node would run one after another where there
/// are two cores.
fn in_browser(workspace: &Workspace, runner: &Runner, folder: &str) -> Result<Command, Failure> {
    let browser = Browser::find_or_install(runner)?;
    let mut node = node_tests(folder, &["--test-concurrency=2"])?;
    node.env("CHROME", &browser.chrome)
        .env("CHROMEDRIVER", &browser.driver)
        .env("CARGO_TARGET_DIR", &workspace.target);
    Ok(node)
}

/// `node --test` of every `*.test.mjs` in the folder.
pub(crate) fn node_tests(folder: &str, options: &[&str]) -> Result<Command, Failure> {
    let mut files = Vec::new();
    collect_tests(Path::new(folder), &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(Failure::Broken(format!("there is no *.test.mjs in {folder}/")));
    }
    let mut node = Command::new("node");
    node.arg("--test").args(options).args(&files);
    Ok(node)
}

/// Named one by one: what `node --test FOLDER` means differs from one Node to the next.
fn collect_tests(folder: &Path, files: &mut Vec<String>) -> Result<(), Failure> {
    let unreadable = |error| Failure::io("read", folder, &error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect_tests(&path, files)?;
        } else if let Some(name) = path.to_str().filter(|name| name.ends_with(".test.mjs")) {
            files.push(name.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_brings_those_that_it_needs_in_their_order() {
        let Selection(steps) = Selection::only("e2e,fmt").expect("both exist");
        let names: Vec<_> = steps.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, ["fmt", "build", "servers", "e2e"]);
    }

    #[test]
    fn what_a_step_needs_comes_before_it() {
        let place = |step| STEPS.iter().position(|(known, _)| *known == step);
        for (step, name) in STEPS {
            for needed in step.needs() {
                assert!(place(*needed) < place(step), "{name} needs {needed:?}");
            }
        }
    }
}
