//! The reference backend's program: see `session-keeper-backend help`.

use std::process::ExitCode;

use clap::Parser;
use session_keeper_backend::{Options, run};

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
