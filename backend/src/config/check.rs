//! Settings that are right by themselves and wrong together.
//!
//! Rule: a backend that would lose its users is refused, unless the fault is asked for by name.

use std::fmt;
use std::time::Duration;

use super::serve::ServeOptions;
use super::values::{Fault, OpenMode, StoreChoice};

/// A combination that cannot be meant; the sentence names the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidSettings(&'static str);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidSettings {}

impl ServeOptions {
    /// Where sessions are really kept.
    pub fn effective_store(&self) -> StoreChoice {
        if self.disable_token_persistence || self.has(Fault::UnsharedTokens) {
            StoreChoice::Memory
        } else {
            self.store.clone()
        }
    }

    /// Whether files that are not there may be made: by the first process of a start, and not by
    /// one that takes another's place.
    pub(crate) fn open_mode(&self) -> OpenMode {
        let must_exist = self.replaces || self.store_must_exist;
        if must_exist { OpenMode::MustExist } else { OpenMode::CreateIfMissing }
    }

    /// The same of the file of users: a server may start before there are any.
    pub(crate) fn users_mode(&self) -> OpenMode {
        if self.store_must_exist { OpenMode::MustExist } else { OpenMode::CreateIfMissing }
    }

    /// `--fault reload-loop`: how often.
    pub(crate) fn reloads_each(&self) -> Option<Duration> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::ReloadLoop(each) => Some(*each),
            Fault::UnsharedTokens
            | Fault::FileReadOnce
            | Fault::RandomKey
            | Fault::SlowHealth(_) => None,
        })
    }

    /// `--fault slow-health`: by how much.
    pub(crate) fn health_delay(&self) -> Option<Duration> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::SlowHealth(delay) => Some(*delay),
            Fault::UnsharedTokens
            | Fault::FileReadOnce
            | Fault::RandomKey
            | Fault::ReloadLoop(_) => None,
        })
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// Refuses what does not go together.
pub(crate) fn check(options: &ServeOptions) -> Result<(), InvalidSettings> {
    let store = options.effective_store();
    let unshared = options.has(Fault::UnsharedTokens);
    let refusals = [
        (
            store == StoreChoice::Memory && options.workers > 1 && !unshared,
            "--workers with sessions in memory: each worker would know its own only; \
             use another --store, or --fault unshared-tokens to show what goes wrong",
        ),
        (
            unshared && options.workers < 2,
            "--fault unshared-tokens needs --workers 2 or more: one worker shares with itself",
        ),
        (
            options.has(Fault::FileReadOnce) && !matches!(store, StoreChoice::File(_)),
            "--fault file-read-once needs --store file:PATH",
        ),
        (
            options.has(Fault::RandomKey) && options.tokens.jwt.is_none(),
            "--fault random-key needs --jwt: opaque tokens are not signed",
        ),
        (
            options.tokens.rotate_after_seconds >= Some(options.tokens.lifetime()),
            "--rotate-after-seconds must be less than --token-seconds: \
             what has expired is rotated no more",
        ),
        (
            options.tokens.rotate_after_seconds.is_some() && options.tokens.refresh,
            "--rotate-after-seconds does not go with --refresh: \
             what is refreshed ends with its first refresh token, what is rotated goes on",
        ),
    ];
    match refusals.into_iter().find(|(is_wrong, _)| *is_wrong) {
        Some((_, sentence)) => Err(InvalidSettings(sentence)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Command, Options};

    #[test]
    fn the_command_line_refuses_what_cannot_be_meant() {
        assert_eq!(checked("serve"), Ok(()));
        assert!(Options::try_parse_from(["x", "token", "revoke", "--all"]).is_ok());
        for line in ["serve --token-seconds 0", "serve --token-seconds 99999999999"]
            .into_iter()
            .chain(["token revoke", "token revoke --all --user ada", "serve --instance ü"])
            .chain(["serve --workers 0", "serve --workers 65", "serve --refresh-grace-seconds 5"])
            .chain(["serve --refresh --refresh-grace-seconds 61", "serve --fault none"])
        {
            let line = ["x"].into_iter().chain(line.split(' '));
            assert!(Options::try_parse_from(line.clone()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn what_would_lose_users_is_refused_by_the_names_of_the_settings() {
        for (line, named) in [
            ("serve --workers 2 --store memory", "--workers"),
            ("serve --workers 2 --disable-token-persistence", "unshared-tokens"),
            ("serve --fault unshared-tokens", "--workers 2"),
            ("serve --fault file-read-once", "--store file:PATH"),
            ("serve --fault random-key", "--jwt"),
            ("serve --refresh --rotate-after-seconds 60", "--refresh"),
            ("serve --token-seconds 60 --rotate-after-seconds 60", "--rotate-after-seconds"),
        ] {
            let sentence = checked(line).expect_err("it cannot be meant").to_string();
            assert!(sentence.contains(named), "{line}: {sentence}");
        }
    }

    #[test]
    fn a_fault_that_is_asked_for_by_name_is_served() {
        for line in [
            "serve --workers 2 --fault unshared-tokens",
            "serve --store file --fault file-read-once",
            "serve --jwt hs256 --fault random-key",
            "serve --fault reload-loop --fault slow-health:3",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn persistence_that_is_switched_off_means_memory() {
        let options = parsed("serve --disable-token-persistence true --store sqlite:x");
        assert_eq!(options.effective_store(), StoreChoice::Memory);
        let options = parsed("serve --disable-token-persistence false --store file:x");
        assert_eq!(options.effective_store(), StoreChoice::File("x".into()));
    }

    fn checked(line: &str) -> Result<(), InvalidSettings> {
        check(&parsed(line))
    }

    fn parsed(line: &str) -> ServeOptions {
        let line = ["x"].into_iter().chain(line.split(' '));
        let options = Options::try_parse_from(line).expect("each setting is right by itself");
        let Command::Serve(options) = options.command else { panic!("the command is serve") };
        *options
    }
}
