//! The reference backend's program: see `session-keeper-backend help`.

use std::process::ExitCode;

use session_keeper_backend::{Options, run};

fn main() -> ExitCode {
    match run(Options::of_process().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
