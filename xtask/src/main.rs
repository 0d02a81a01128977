//! `cargo xtask`: builds, tests, measures and shows this project.
//!
//! Everything that CI does is a command here, so that both are the same. The commands do their own
//! set-up; they know how the parts are built, never what is in them.

mod apt;
mod bench;
mod browser;
mod build;
mod demo;
mod failure;
mod fuzz;
mod pack;
mod package;
mod replay;
mod runner;
mod services;
mod setup;
mod size;
mod stamp;
mod test;
mod tidy;
mod wasm;
mod workspace;

use std::env;
use std::path::{self, PathBuf};
use std::process::ExitCode;

use crate::failure::Failure;
use crate::runner::Runner;
use crate::test::Selection;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND [--verbose]
  build               the npm package, into dist/
  demo                build everything and serve the demo on PORT (8080)
  test [--only A,B]   what CI runs, or some of its steps
  consumers           the packed package with every tool that apps are made with, and its sizes
  bench-verdict       false and true sign-outs, counted on the core and on real servers
  bench-fetch [ARGS]  what `keeper.fetch` adds to `fetch`, in Chromium
  bench-backend       the reference backend beside gunicorn and Flask on the same stores
  replay FILE         run a recorded trace through the core and print what it orders
  tidy                who may import whom, which no compiler holds
  size                the bytes that a page pays, and their budget
  --verbose           show what the tools print";

fn main() -> ExitCode {
    let outcome = parse(env::args().skip(1)).and_then(|wish| match wish {
        Some(invocation) => run(&invocation),
        None => {
            println!("{USAGE}\nsteps of test: {}", test::names());
            Ok(())
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// A command line that was understood.
#[derive(Debug)]
struct Invocation {
    command: Command,
    verbose: bool,
}

#[derive(Debug, PartialEq)]
enum Command {
    Build,
    Demo,
    Test(Selection),
    Consumers,
    BenchVerdict,
    /// With what its script is told.
    BenchFetch(Vec<String>),
    BenchBackend(Vec<String>),
    Replay(PathBuf),
    Tidy,
    Size,
}

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let workspace = Workspace::load()?;
    env::set_current_dir(&workspace.root)
        .map_err(|error| Failure::io("enter", &workspace.root, &error))?;
    let runner = Runner::new(&workspace, invocation.verbose)?;
    match &invocation.command {
        Command::Build => build::run(&workspace, &runner).map(drop),
        Command::Demo => demo::run(&workspace, &runner),
        Command::Test(selection) => test::run(&workspace, &runner, selection),
        Command::Consumers => package::every_consumer(&workspace, &runner),
        Command::BenchVerdict => bench::verdict(&workspace, &runner),
        Command::BenchFetch(wishes) => bench::fetch(&workspace, &runner, wishes),
        Command::BenchBackend(wishes) => bench::backend(&workspace, &runner, wishes),
        Command::Replay(file) => replay::run(file),
        Command::Tidy => tidy::run(&workspace),
        Command::Size => size::run(&workspace, &runner),
    }
}

/// `None` where the caller only asks for the usage.
fn parse(args: impl Iterator<Item = String>) -> Result<Option<Invocation>, Failure> {
    let mut words = Vec::new();
    let mut verbose = false;
    for arg in args {
        match arg.as_str() {
            "--verbose" | "-v" => verbose = true,
            "--help" | "-h" => return Ok(None),
            // `cargo xtask build --release` is what fingers type; there is no other kind.
            "--release" if words.first().is_some_and(|word| word == "build") => {}
            _ => words.push(arg),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] => return Ok(None),
        ["build"] => Command::Build,
        ["demo"] => Command::Demo,
        ["test"] => Command::Test(Selection::all()),
        ["test", "--only", steps] => Command::Test(Selection::only(steps)?),
        ["consumers"] => Command::Consumers,
        ["bench-verdict"] => Command::BenchVerdict,
        ["bench-fetch", wishes @ ..] => {
            Command::BenchFetch(wishes.iter().copied().map(str::to_owned).collect())
        }
        ["bench-backend", wishes @ ..] => {
            Command::BenchBackend(wishes.iter().copied().map(str::to_owned).collect())
        }
        ["replay", file] => Command::Replay(path::absolute(file).unwrap_or_else(|_| file.into())),
        ["tidy"] => Command::Tidy,
        ["size"] => Command::Size,
        _ => return Err(Failure::Usage(format!("`{}` is no command\n{USAGE}", words.join(" ")))),
    };
    Ok(Some(Invocation { command, verbose }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Invocation>, Failure> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_is_understood_wherever_verbose_stands() {
        for line in ["build --verbose", "--verbose build", "build --release -v"] {
            let invocation = parsed(line).expect("a command").expect("not the usage");
            assert_eq!(invocation.command, Command::Build);
            assert!(invocation.verbose, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_or_step_is_a_usage_error() {
        for line in ["biuld", "build extra", "test --only", "test --only nonsense", "--release"] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn nothing_or_help_asks_for_the_usage() {
        assert!(parsed("").expect("no error").is_none());
        assert!(parsed("build --help").expect("no error").is_none());
    }
}
