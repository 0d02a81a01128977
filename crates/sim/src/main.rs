//! `cargo run -p session-keeper-sim -- --seeds 1000`: many seeds, one line each hundred, and on
//! failure the seed with what led there.

use std::process::ExitCode;
use std::time::Instant;

use session_keeper_sim::{Plan, Tally, Trace, run};

const USAGE: &str = "usage: session-keeper-sim [--seeds N] [--seed S] [--hours H] [--trace]
  --seeds N  how many seeds, default 200
  --seed S   the first seed, default 1; alone, only this one
  --hours H  simulated hours of each, default 4
  --trace    prints each step";

/// How many failures are printed in full.
const SHOWN: usize = 3;

#[derive(Debug)]
struct Arguments {
    first: u64,
    seeds: u64,
    hours: u64,
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
    let start = Instant::now();
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for done in 0..arguments.seeds {
        let plan = Plan { trace: arguments.trace, ..Plan::of(arguments.first + done) };
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
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut first, mut seeds, mut hours, mut trace) = (None, None, 4, Trace::Kept);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or(format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{word} needs a number, not {value:?}"))
        };
        match word.as_str() {
            "--seed" => first = Some(number()?),
            "--seeds" => seeds = Some(number()?),
            "--hours" => hours = number()?,
            "--trace" => trace = Trace::Printed,
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    let alone = if first.is_some() { 1 } else { 200 };
    Ok(Arguments { first: first.unwrap_or(1), seeds: seeds.unwrap_or(alone), hours, trace })
}
