//! `cargo run -p session-keeper-sim -- --seeds 1000`: many seeds, one line each hundred, and on
//! failure the seed with what led there.

use std::process::ExitCode;
use std::time::Instant;

use session_keeper_sim::{Plan, Tally, Tokens, Trace, run};

const USAGE: &str =
    "usage: session-keeper-sim [--seeds N] [--seed S] [--hours H] [--tabs N] [--world W] [--trace]
  --seeds N  how many seeds, default 200
  --seed S   the first seed, default 1; alone, only this one
  --hours H  simulated hours of each, default 4
  --tabs N   how many tabs share the session, default 1
  --world W  `lasting` (tokens that do not run out), `refreshed` (they do), or `all`, the default
  --trace    prints each step";

/// How many failures are printed in full.
const SHOWN: usize = 3;

#[derive(Debug)]
struct Arguments {
    first: u64,
    seeds: u64,
    hours: u64,
    tabs: usize,
    worlds: Vec<Tokens>,
    trace: Trace,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for tokens in &arguments.worlds {
        println!("world           {tokens:?}");
        failed += run_all(&arguments, *tokens);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All seeds in one world. Returns how many failed.
fn run_all(arguments: &Arguments, tokens: Tokens) -> usize {
    let start = Instant::now();
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for done in 0..arguments.seeds {
        let plan = Plan {
            trace: arguments.trace,
            tokens,
            ..Plan::of(arguments.first + done).tabs(arguments.tabs)
        };
        match run(&plan.hours(arguments.hours)) {
            Ok(one) => tally.add(&one),
            Err(failure) => {
                if failures.len() < SHOWN {
                    println!("{failure}");
                } else {
                    println!("{}", failure.headline());
                }
                failures.push(failure.seed);
            }
        }
        if (done + 1) % 100 == 0 {
            let (done, failed) = (done + 1, failures.len());
            println!(
                "{done} of {} seeds, {failed} failed, {:.1?}",
                arguments.seeds,
                start.elapsed()
            );
        }
    }
    println!("{tally}");
    println!("{} passed, {} failed", arguments.seeds - failures.len() as u64, failures.len());
    failures.len()
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut first, mut seeds, mut hours, mut trace) = (None, None, 4, Trace::Kept);
    let mut tabs = 1;
    let mut worlds = vec![Tokens::Lasting, Tokens::Refreshed];
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or(format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{word} needs a number, not {value:?}"))
        };
        match word.as_str() {
            "--seed" => first = Some(number()?),
            "--seeds" => seeds = Some(number()?),
            "--hours" => hours = number()?,
            "--tabs" => tabs = number()? as usize,
            "--world" => worlds = worlds_of(words.next().as_deref())?,
            "--trace" => trace = Trace::Printed,
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    let alone = if first.is_some() { 1 } else { 200 };
    let (first, seeds) = (first.unwrap_or(1), seeds.unwrap_or(alone));
    Ok(Arguments { first, seeds, hours, tabs, worlds, trace })
}

fn worlds_of(name: Option<&str>) -> Result<Vec<Tokens>, String> {
    match name {
        Some("all") => Ok(vec![Tokens::Lasting, Tokens::Refreshed]),
        Some("lasting") => Ok(vec![Tokens::Lasting]),
        Some("refreshed") => Ok(vec![Tokens::Refreshed]),
        other => Err(format!("no such world: {other:?}")),
    }
}
