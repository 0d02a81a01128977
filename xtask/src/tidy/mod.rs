//! `cargo xtask tidy`: who may import whom, which no compiler holds.
//!
//! Each file here holds one kind of rule as a function from text to breaches. They read lines, not
//! syntax trees: rustfmt and Prettier have put the code into shape before, and that is relied on.

mod crates;
mod scripts;
mod shell;

use std::fmt;
use std::fs;
use std::process::Command;

use crate::failure::Failure;
use crate::workspace::Workspace;

/// One place where a rule is broken.
#[derive(Debug, PartialEq)]
struct Breach {
    file: String,
    line: usize,
    sentence: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.sentence)
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut breaches = crates::check(workspace, |manifest| fs::read_to_string(manifest).ok());
    let files = files()?;
    for file in &files {
        // What cannot be read as text has no lines to look at.
        if let Ok(text) = fs::read_to_string(file) {
            check_file(file, &text, &mut breaches);
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => {
            println!("  {} files are tidy", files.len());
            Ok(())
        }
        1 => Err(Failure::Broken("a rule of the house is broken".into())),
        many => Err(Failure::Broken(format!("rules of the house are broken in {many} places"))),
    }
}

fn check_file(file: &str, text: &str, breaches: &mut Vec<Breach>) {
    let mut add = |found: Vec<(usize, String)>| {
        let place = |(line, sentence)| Breach { file: file.into(), line, sentence };
        breaches.extend(found.into_iter().map(place));
    };
    add(shell::check(file, text));
    add(scripts::check(file, text));
}

/// What is committed or about to be.
fn files() -> Result<Vec<String>, Failure> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(args)
        .output()
        .map_err(|error| Failure::Missing(format!("git cannot be run, install it: {error}")))?;
    if !output.status.success() {
        return Err(Failure::Io("git cannot list the files: is this a clone?".into()));
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// The lines that hold code, counted from one. Comments at a line's end stay.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| {
        let start = line.trim_start();
        !["//", "/*", "*"].iter().any(|comment| start.starts_with(comment))
    })
}

fn is_script(file: &str) -> bool {
    [".ts", ".mts", ".cts", ".mjs", ".js"].iter().any(|ending| file.ends_with(ending))
}
