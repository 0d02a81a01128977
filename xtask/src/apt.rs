//! Installs packages of Debian and its kin, where we are root.
//!
//! Rule: what is installed for the tests starts nothing in the system, neither at once nor for
//! those who install more later. A configuration that exists stays as it is.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{self, Command};

use crate::failure::Failure;
use crate::runner::Runner;
use crate::setup::find_program;

/// Debian asks it before it starts a service; 101 is no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Debian's PostgreSQL makes a database of the system's when it is installed, unless this says no.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "\
# Written by session-keeper's xtask, which installed PostgreSQL for its tests only.
create_main_cluster = false
";

pub(crate) fn is_usable() -> bool {
    find_program("apt-get").is_some() && is_root()
}

pub(crate) fn install(runner: &Runner, what: &str, packages: &[&str]) -> Result<(), Failure> {
    let apt = || {
        let mut command = Command::new("apt-get");
        // A configuration that was there before the package is the one that counts.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("UCF_FORCE_CONFFOLD", "1");
        command
    };
    runner.run("apt-get update", apt().arg("update"))?;
    let mut install = apt();
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    runner.run(&format!("{what} (apt-get install)"), &mut install)
}

/// Installs servers that are not to be started.
pub(crate) fn install_unstarted(
    runner: &Runner,
    what: &str,
    packages: &[&str],
) -> Result<(), Failure> {
    write_new(Path::new(CLUSTERS), NO_CLUSTER)?;
    let policy = Path::new(POLICY);
    let is_ours = write_new(policy, &refusal(process::id()))?;
    if is_ours {
        runner.read("chmod", Command::new("chmod").arg("755").arg(policy))?;
    }
    let installed = install(runner, what, packages);
    if is_ours {
        fs::remove_file(policy).map_err(|error| Failure::io("remove", policy, &error))?;
    }
    installed
}

/// Refuses for as long as we live: if we are killed, it stays and must do no harm.
fn refusal(pid: u32) -> String {
    format!(
        "#!/bin/sh\n# Written by session-keeper's xtask, and to be removed when that has ended.\n\
         kill -0 {pid} 2>/dev/null && exit 101\nexit 0\n"
    )
}

/// Whether it was not there and has been written.
fn write_new(file: &Path, text: &str) -> Result<bool, Failure> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))?;
    }
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        opened => opened.and_then(|mut opened| opened.write_all(text.as_bytes())),
    };
    written.map(|()| true).map_err(|error| Failure::io("write", file, &error))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-apt-{}", process::id()));
        let file = folder.join("new/policy");
        assert!(write_new(&file, "ours").expect("the temp folder is writable"));
        assert!(!write_new(&file, "other").expect("the temp folder is writable"));
        assert_eq!(fs::read_to_string(&file).expect("just written"), "ours");
        fs::remove_dir_all(&folder).expect("just written");
    }

    #[test]
    fn the_policy_refuses_only_while_its_writer_lives() {
        let answer = |pid| {
            let status = Command::new("/bin/sh").args(["-c", &refusal(pid)]).status();
            status.expect("there is a shell").code()
        };
        assert_eq!(answer(process::id()), Some(101));
        let mut ended = Command::new("true").spawn().expect("it is everywhere");
        ended.wait().expect("it is ours");
        assert_eq!(answer(ended.id()), Some(0));
    }
}
