//! wasm-bindgen's generator and its test runner as one binary.
//!
//! Built from Cargo.lock like everything else, so nothing is downloaded or installed beside it and
//! the versions cannot drift apart. It knows nothing of this project: `cargo xtask` passes all
//! arguments.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "usage: wasm-tools bindgen ARGS… | wasm-tools test-runner TEST.wasm ARGS…";

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let tool = args.next().unwrap_or_default();
    let outcome = match tool.to_str() {
        Some("bindgen") => {
            wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(argv("wasm-bindgen", args))
        }
        Some("test-runner") => wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(argv(
            "wasm-bindgen-test-runner",
            args,
        )),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Both tools take a whole command line, the program's name first.
fn argv(program: &str, args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    std::iter::once(OsString::from(program)).chain(args).collect()
}
