//! `cargo xtask replay FILE`: runs a recorded trace through the core and prints what it orders. The
//! file is a trace, or what the demo page saved, which has one as `trace`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use session_keeper_core::Trace;

use crate::failure::Failure;

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    println!("{}", transcript(file)?);
    Ok(())
}

fn transcript(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))?;
    let replayed = read(&text)
        .map_err(|error| {
            Failure::Usage(format!("{} is no trace of this version: {error}", file.display()))
        })?
        .replay();
    Ok(format!("{}{:?}", replayed.text, replayed.snapshot))
}

fn read(text: &str) -> serde_json::Result<Trace> {
    let mut saved: Value = serde_json::from_str(text)?;
    match saved.get_mut("trace") {
        Some(trace) => serde_json::from_value(trace.take()),
        None => serde_json::from_value(saved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line of the text beside a trace is found in its transcript, in that order.
    #[test]
    fn recorded_traces_come_to_what_they_came_to() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
        let mut count = 0;
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let file = entry.expect("it can be read").path();
            if file.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let expected = fs::read_to_string(file.with_extension("txt")).expect("it has its text");
            let transcript = transcript(&file).expect("it is a trace");
            let mut rest = transcript.as_str();
            for line in expected.lines() {
                let found = rest.split_once(line);
                let Some((_, after)) = found else { panic!("{line}: not in {transcript}") };
                rest = after;
            }
            count += 1;
        }
        assert!(count > 0, "there is no trace");
    }

    #[test]
    fn what_is_no_trace_is_a_usage_error() {
        let file = std::env::temp_dir().join(format!("xtask-no-trace-{}", std::process::id()));
        fs::write(&file, "{}").expect("the temp folder is writable");
        assert!(matches!(transcript(&file), Err(Failure::Usage(_))));
        fs::remove_file(&file).expect("just written");
    }
}
