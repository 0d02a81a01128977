//! Finds redis-server and PostgreSQL for the tests, or gets them by apt where that is allowed.
//!
//! `REDIS_SERVER` and `POSTGRES_BIN` win over everything, and must then be right. Rule: what cannot
//! be had is left out by name, and fails in CI, where nobody would notice. The tests start the
//! servers themselves and are told where they are; nothing here does.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup::find_program;

const REDIS_SERVER: &str = "REDIS_SERVER";
const POSTGRES_BIN: &str = "POSTGRES_BIN";
/// Those that are missing, with commas, for tests that cannot look themselves.
const SERVICES_MISSING: &str = "SERVICES_MISSING";
const DEBIANS_POSTGRES: &str = "/usr/lib/postgresql";

/// The servers that there are.
#[derive(Debug)]
pub(crate) struct Services {
    /// The program.
    redis: Option<PathBuf>,
    /// The folder with `initdb` and `postgres`.
    postgres: Option<PathBuf>,
}

impl Services {
    pub(crate) fn find_or_install(runner: &Runner) -> Result<Self, Failure> {
        let found = Self::find()?;
        let packages = found.packages();
        if packages.is_empty() {
            return Ok(found);
        }
        if apt::is_usable() {
            // One that fails has said why, and what is missing then is told below.
            let installed = apt::install_unstarted(runner, &packages.join(" and "), &packages);
            installed.unwrap_or_else(|failure| println!("  {failure}"));
        }
        let found = Self::find()?;
        match found.left_out() {
            Some(left_out) if is_ci(env::var_os("CI")) => Err(Failure::Missing(left_out)),
            Some(_) | None => Ok(found),
        }
    }

    /// Which are missing and how to get them; none when all are there.
    pub(crate) fn left_out(&self) -> Option<String> {
        let packages = self.packages();
        if packages.is_empty() {
            return None;
        }
        Some(format!(
            "{} not found: run `apt-get install {}` as root, or set {REDIS_SERVER} to the program \
             and {POSTGRES_BIN} to the folder with initdb and postgres",
            self.missing().join(" and "),
            packages.join(" ")
        ))
    }

    /// Tells a command where they are, and which are not.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        if let Some(program) = &self.redis {
            command.env(REDIS_SERVER, program);
        }
        if let Some(folder) = &self.postgres {
            command.env(POSTGRES_BIN, folder);
        }
        command.env(SERVICES_MISSING, self.missing().join(","));
    }

    fn find() -> Result<Self, Failure> {
        let redis = chosen(REDIS_SERVER, |program| vec![program.to_owned()])?;
        let redis = redis.or_else(|| find_program("redis-server"));
        let postgres = chosen(POSTGRES_BIN, |bin| vec![bin.join("initdb"), bin.join("postgres")])?;
        let postgres = postgres.or_else(|| postgres_in_path().filter(|bin| is_postgres(bin)));
        let postgres = postgres.or_else(|| newest_postgres(Path::new(DEBIANS_POSTGRES)));
        Ok(Self { redis, postgres })
    }

    fn missing(&self) -> Vec<&'static str> {
        let redis = self.redis.is_none().then_some("redis");
        redis.into_iter().chain(self.postgres.is_none().then_some("postgres")).collect()
    }

    fn packages(&self) -> Vec<&'static str> {
        let package = |store| if store == "redis" { "redis-server" } else { "postgresql" };
        self.missing().into_iter().map(package).collect()
    }
}

/// The path in a variable; the files that it leads to must exist.
fn chosen(
    variable: &str,
    files: impl Fn(&Path) -> Vec<PathBuf>,
) -> Result<Option<PathBuf>, Failure> {
    let Some(chosen) = env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    // The servers are started from other folders.
    let chosen = path::absolute(&chosen)
        .map_err(|error| Failure::Usage(format!("{variable} is no path: {error}")))?;
    match files(&chosen).into_iter().find(|file| !file.is_file()) {
        None => Ok(Some(chosen)),
        Some(file) => {
            let file = file.display();
            Err(Failure::Usage(format!("{variable} leads to {file}, and no such file exists")))
        }
    }
}

/// Behind the links of a folder in PATH, because PostgreSQL's files lie beside its programs.
fn postgres_in_path() -> Option<PathBuf> {
    Some(find_program("initdb")?.canonicalize().ok()?.parent()?.to_owned())
}

fn newest_postgres(versions: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(versions).ok()?;
    let mut versions: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    versions.sort_by_key(|folder| Reverse(version(folder)));
    versions.into_iter().map(|folder| folder.join("bin")).find(|bin| is_postgres(bin))
}

/// `9.6` is older than `15`.
fn version(folder: &Path) -> Vec<u32> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').map_while(|number| number.parse().ok()).collect()
}

fn is_postgres(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}

/// Whether nobody would notice that something is left out.
pub(crate) fn is_ci(variable: Option<OsString>) -> bool {
    variable.is_some_and(|value| !value.is_empty() && value != "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_name_to_people_and_to_tests() {
        let services = Services { redis: None, postgres: Some("bin".into()) };
        let left_out = services.left_out().expect("one is missing");
        assert!(left_out.contains("`apt-get install redis-server`"), "{left_out}");
        let mut command = Command::new("true");
        services.pass_to(&mut command);
        let told: Vec<_> = command.get_envs().collect();
        let of = |name: &str| told.iter().find(|(known, _)| *known == name).map(|told| told.1);
        assert_eq!(of(SERVICES_MISSING), Some(Some("redis".as_ref())));
        assert_eq!(of(POSTGRES_BIN), Some(Some("bin".as_ref())));
        assert_eq!(of(REDIS_SERVER), None);
    }

    #[test]
    fn nothing_is_left_out_when_both_are_there() {
        let services = Services { redis: Some("a".into()), postgres: Some("b".into()) };
        assert_eq!(services.left_out(), None);
    }

    #[test]
    fn ci_is_where_the_variable_says_more_than_false() {
        assert!(is_ci(Some("true".into())) && is_ci(Some("1".into())));
        assert!(!is_ci(None) && !is_ci(Some("".into())) && !is_ci(Some("false".into())));
    }

    #[test]
    fn the_newest_postgres_is_taken_by_number() {
        let versions = env::temp_dir().join(format!("xtask-services-{}", std::process::id()));
        for bin in ["9.6/bin", "15/bin", "16/bin"].map(|bin| versions.join(bin)) {
            fs::create_dir_all(&bin).expect("the temp folder is writable");
            fs::write(bin.join("postgres"), "").expect("the temp folder is writable");
        }
        for bin in ["9.6/bin", "15/bin"] {
            fs::write(versions.join(bin).join("initdb"), "").expect("the temp folder is writable");
        }
        assert_eq!(newest_postgres(&versions), Some(versions.join("15/bin")));
        fs::remove_dir_all(&versions).expect("just written");
    }
}
