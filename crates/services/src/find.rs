//! Where the servers are installed.
//!
//! Rule: `REDIS_SERVER` and `POSTGRES_BIN` win over everything and must then be right; then comes
//! `PATH`, then the folder where Debian keeps PostgreSQL out of it. It installs nothing.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ServiceError;

const REDIS_SERVER: &str = "REDIS_SERVER";
const POSTGRES_BIN: &str = "POSTGRES_BIN";
const DEBIANS_POSTGRES: &str = "/usr/lib/postgresql";

/// Where to look.
#[derive(Debug)]
pub(crate) struct Places {
    /// The program.
    pub(crate) redis_server: Option<OsString>,
    /// The folder with `initdb` and `postgres`.
    pub(crate) postgres_bin: Option<OsString>,
    pub(crate) path: Option<OsString>,
    /// A folder for each version, with a `bin` inside.
    pub(crate) postgres_versions: PathBuf,
}

impl Places {
    pub(crate) fn of_this_machine() -> Self {
        let chosen = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            redis_server: chosen(REDIS_SERVER),
            postgres_bin: chosen(POSTGRES_BIN),
            path: env::var_os("PATH"),
            postgres_versions: DEBIANS_POSTGRES.into(),
        }
    }

    /// The program. Links stay as they are: Debian's leads to a program that looks at the name it
    /// was called by.
    pub(crate) fn redis_server(&self) -> Result<PathBuf, ServiceError> {
        if let Some(chosen) = &self.redis_server {
            return existing(REDIS_SERVER, absolute(REDIS_SERVER, chosen.into())?);
        }
        let mut candidates = self.folders().map(|folder| folder.join("redis-server"));
        candidates.find(|candidate| candidate.is_file()).ok_or(ServiceError::Missing {
            what: "redis-server",
            remedy: "run `apt-get install redis-server` as root, or set REDIS_SERVER to its path",
        })
    }

    /// The folder with `initdb` and `postgres`.
    pub(crate) fn postgres_bin(&self) -> Result<PathBuf, ServiceError> {
        if let Some(chosen) = &self.postgres_bin {
            let chosen = absolute(POSTGRES_BIN, chosen.into())?;
            existing(POSTGRES_BIN, chosen.join("initdb"))?;
            existing(POSTGRES_BIN, chosen.join("postgres"))?;
            return Ok(chosen);
        }
        let in_path = self.folders().map(|folder| behind_links(&folder));
        in_path.chain(self.versions()).find(|folder| is_postgres(folder)).ok_or(
            ServiceError::Missing {
                what: "PostgreSQL (initdb and postgres)",
                remedy: "run `apt-get install postgresql` as root, or set POSTGRES_BIN to the \
                         folder of both",
            },
        )
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.path.iter().flat_map(env::split_paths)
    }

    /// The newest first.
    fn versions(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.postgres_versions).into_iter().flatten().flatten();
        let mut versions: Vec<_> = entries.map(|entry| entry.path()).collect();
        versions.sort_by_key(|folder| Reverse(version(folder)));
        versions.into_iter().map(|folder| folder.join("bin")).collect()
    }
}

/// `9.6` is older than `15`.
fn version(folder: &Path) -> Vec<u32> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').map_while(|number| number.parse().ok()).collect()
}

/// Where a folder of links takes its `initdb` from. PostgreSQL's files lie beside its programs.
fn behind_links(folder: &Path) -> PathBuf {
    let real = folder.join("initdb").canonicalize();
    real.ok().and_then(|initdb| Some(initdb.parent()?.to_owned())).unwrap_or(folder.to_owned())
}

fn is_postgres(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// Servers are started from other folders.
fn absolute(variable: &'static str, path: PathBuf) -> Result<PathBuf, ServiceError> {
    std::path::absolute(&path).map_err(|_| ServiceError::WrongVariable { variable, path })
}

fn existing(variable: &'static str, file: PathBuf) -> Result<PathBuf, ServiceError> {
    if file.is_file() {
        Ok(file)
    } else {
        Err(ServiceError::WrongVariable { variable, path: file })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A machine of its own, with nothing installed.
    fn machine() -> (TempDir, Places) {
        let root = TempDir::new().expect("the temp folder is writable");
        let places = Places {
            redis_server: None,
            postgres_bin: None,
            path: Some(root.path().join("path").into()),
            postgres_versions: root.path().join("versions"),
        };
        (root, places)
    }

    fn install(root: &TempDir, programs: &[&str]) -> PathBuf {
        for program in programs {
            let program = root.path().join(program);
            let folder = program.parent().expect("it is in the root");
            fs::create_dir_all(folder).expect("the temp folder is writable");
            fs::write(&program, "").expect("the temp folder is writable");
        }
        root.path().canonicalize().expect("it exists")
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let (_root, places) = machine();
        for error in [places.redis_server().err(), places.postgres_bin().err()] {
            let text = error.expect("nothing is installed").to_string();
            assert!(text.contains("apt-get install") && text.contains("or set"), "{text}");
        }
    }

    #[test]
    fn a_variable_wins_over_the_path_and_must_be_right() {
        let (root, mut places) = machine();
        let programs = ["path/redis-server", "own/redis", "path/initdb", "path/postgres"];
        let base = install(&root, &programs);
        places.redis_server = Some(base.join("own/redis").into());
        assert_eq!(places.redis_server().expect("it exists"), base.join("own/redis"));
        places.redis_server = Some(base.join("own/other").into());
        places.postgres_bin = Some(base.join("own").into());
        for error in [places.redis_server().err(), places.postgres_bin().err()] {
            assert!(matches!(error, Some(ServiceError::WrongVariable { .. })), "{error:?}");
        }
    }

    #[test]
    fn a_link_to_redis_stays_and_one_to_postgres_is_followed() {
        let (root, places) = machine();
        let programs = ["path/redis-check", "versions/15/bin/initdb", "versions/15/bin/postgres"];
        let base = install(&root, &programs);
        symlink("redis-check", base.join("path/redis-server")).expect("it is writable");
        symlink("../versions/15/bin/initdb", base.join("path/initdb")).expect("it is writable");
        let redis = places.redis_server().expect("it is in the path");
        assert_eq!(redis.file_name(), Some("redis-server".as_ref()));
        let postgres = places.postgres_bin().expect("it is in the path");
        assert_eq!(postgres, base.join("versions/15/bin"));
    }

    #[test]
    fn the_newest_whole_postgres_of_debian_is_taken() {
        let (root, places) = machine();
        let whole = ["9.6", "15"].map(|version| format!("versions/{version}/bin/initdb"));
        let half = "versions/16/bin/postgres";
        install(&root, &[&whole[0], "versions/9.6/bin/postgres", half]);
        install(&root, &[&whole[1], "versions/15/bin/postgres"]);
        let found = places.postgres_bin().expect("two are there");
        assert!(found.ends_with("15/bin"), "{}", found.display());
    }
}
