//! Settings from a file: `NAME=value` lines, as systemd's `EnvironmentFile` and Compose's
//! `env_file` take them, so that `serve` and the commands beside it share one.
//!
//! Rule: the command line goes before the environment, and the environment before the file. No
//! value is shown: it may be a password.

use std::collections::HashMap;
use std::env::{self, VarError};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use clap::builder::OsStr;
use clap::{Arg, ArgAction, Command};

/// The option that names the file.
pub(super) const OPTION: &str = "--env-file";
/// The variable that names it.
pub(super) const VARIABLE: &str = "SESSION_KEEPER_ENV_FILE";

static FILE: OnceLock<HashMap<String, String>> = OnceLock::new();

/// A variable of the environment, or of the file.
pub(crate) fn variable(name: &str) -> Result<String, VarError> {
    match env::var(name) {
        Err(VarError::NotPresent) => {
            FILE.get().and_then(|file| file.get(name)).cloned().ok_or(VarError::NotPresent)
        }
        outcome => outcome,
    }
}

/// The path in `--env-file PATH`, `--env-file=PATH` or the environment.
pub(super) fn path_in(arguments: &[OsString]) -> Option<OsString> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == OPTION {
            return arguments.next().cloned();
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--env-file=")) {
            return Some(path.into());
        }
    }
    env::var_os(VARIABLE)
}

/// Reads the file, and makes its values the defaults of the options that have such a variable.
pub(super) fn apply(command: Command, path: &Path) -> Result<Command, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let values = parse(&text).map_err(|line| {
        format!("{}, line {line}: write NAME=value, or # before a comment", path.display())
    })?;
    let values = FILE.get_or_init(|| values);
    Ok(with_defaults(command, values))
}

fn with_defaults(command: Command, values: &'static HashMap<String, String>) -> Command {
    command
        .mut_args(|argument| with_default(argument, values))
        .mut_subcommands(|command| with_defaults(command, values))
}

fn with_default(argument: Arg, values: &'static HashMap<String, String>) -> Arg {
    let variable = argument.get_env().and_then(|name| name.to_str());
    let Some(value) = variable.and_then(|name| values.get(name)) else { return argument };
    let argument = argument.hide_default_value(true);
    if matches!(argument.get_action(), ArgAction::Append) {
        return argument.default_values(value.split(',').map(OsStr::from));
    }
    argument.default_value(OsStr::from(&**value))
}

/// The error is the number of a line.
fn parse(text: &str) -> Result<HashMap<String, String>, usize> {
    let mut values = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number + 1)?;
        let name = name.trim();
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(usual) {
            return Err(number + 1);
        }
        let value = value.trim();
        let unquoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
        values.insert(name.to_owned(), unquoted.unwrap_or(value).to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values_and_what_is_neither_is_named_by_its_number() {
        let text = "# comment\n\nTOKEN_STORE=postgres://u:p@h/db?a=b\nA = \"x y\"\nB='#'\nC=\n";
        let values = parse(text).expect("all lines are right");
        assert_eq!(values["TOKEN_STORE"], "postgres://u:p@h/db?a=b");
        assert_eq!((&*values["A"], &*values["B"], &*values["C"]), ("x y", "#", ""));
        assert_eq!(parse("A=1\nexport"), Err(2));
        assert_eq!(parse("A B=1"), Err(1));
    }

    #[test]
    fn the_file_is_named_in_either_form() {
        let path = |line: &str| path_in(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(path("x serve --env-file a"), Some("a".into()));
        assert_eq!(path("x --env-file=b serve"), Some("b".into()));
    }
}
