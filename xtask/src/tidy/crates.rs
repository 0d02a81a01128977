//! Which of our crates may know which: one way only, and the core nobody.

use crate::tidy::Breach;
use crate::workspace::{Package, Workspace};

const CORE: &str = "session-keeper-core";
const TOKENS: &str = "session-keeper-tokens";
const BACKEND: &str = "session-keeper-backend";
const SERVICES: &str = "session-keeper-services";

/// Each of our crates with those of ours that it may depend on.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    (CORE, &[]),
    (TOKENS, &[]),
    ("session-keeper-sim", &[CORE, TOKENS]),
    ("session-keeper", &[CORE]),
    // The services are for its tests.
    (BACKEND, &[TOKENS, SERVICES]),
    ("session-keeper-fuzz", &[BACKEND, TOKENS]),
    (SERVICES, &[]),
    // It runs the backend's binary and must not share its code.
    ("session-keeper-platform", &[]),
    // It replays traces.
    ("xtask", &[CORE]),
    ("wasm-tools", &[]),
];

/// `read` gives a manifest's text, to name the line.
pub(super) fn check(workspace: &Workspace, read: impl Fn(&str) -> Option<String>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &workspace.packages {
        let text = read(&package.manifest).unwrap_or_default();
        for (name, sentence) in check_package(package, &workspace.packages) {
            let line = text.lines().position(|line| line.trim_start().starts_with(&name));
            let line = line.unwrap_or(0) + 1;
            breaches.push(Breach { file: package.manifest.clone(), line, sentence });
        }
    }
    breaches
}

/// Each breach with the word that its line starts with.
fn check_package(package: &Package, ours: &[Package]) -> Vec<(String, String)> {
    let name = &package.name;
    let Some((_, allowed)) = MAY_KNOW.iter().find(|(known, _)| known == name) else {
        let sentence = format!("{name} is new: say in xtask/src/tidy/crates.rs what it may know");
        return vec![("name".into(), sentence)];
    };
    let mut breaches = Vec::new();
    for dependency in &package.dependencies {
        let other = &dependency.name;
        let is_ours = ours.iter().any(|package| package.name == *other);
        if is_ours && !allowed.contains(&other.as_str()) {
            breaches.push((other.clone(), format!("{name} must not depend on {other}")));
        } else if name == CORE && !dependency.is_dev && !dependency.is_optional {
            let sentence = format!("{CORE} depends on nothing, and {other} is something");
            breaches.push((other.clone(), sentence));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn package(name: &str, dependencies: &[(&str, &str)]) -> Value {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|(name, kind)| {
                json!({ "name": name, "kind": if kind.is_empty() { None } else { Some(kind) } })
            })
            .collect();
        json!({
            "name": name,
            "manifest_path": format!("/repo/{name}/Cargo.toml"),
            "dependencies": dependencies,
            "targets": [],
        })
    }

    fn breaches(packages: &[Value]) -> Vec<String> {
        let metadata = json!({
            "workspace_root": "/repo",
            "target_directory": "/repo/target",
            "packages": packages,
        });
        let workspace = Workspace::from_metadata(&metadata).expect("it has what is read");
        let manifest = "[package]\nname = \"it\"\n[dependencies]\nserde = \"1\"\n";
        let found = check(&workspace, |_| Some(manifest.into()));
        found.iter().map(Breach::to_string).collect()
    }

    #[test]
    fn the_core_may_have_no_dependency_and_the_line_is_named() {
        let found = breaches(&[package(CORE, &[("serde", "")])]);
        let sentence = "session-keeper-core depends on nothing, and serde is something";
        assert_eq!(found, [format!("session-keeper-core/Cargo.toml:4: {sentence}")]);
    }

    #[test]
    fn the_cores_tests_may_use_what_they_like_except_ours() {
        assert_eq!(breaches(&[package(CORE, &[("proptest", "dev")])]), [""; 0]);
        let sim = package("session-keeper-sim", &[]);
        assert_eq!(breaches(&[package(CORE, &[("session-keeper-sim", "dev")]), sim]).len(), 1);
    }

    #[test]
    fn a_dependency_against_the_direction_is_a_breach() {
        let core = || package(CORE, &[]);
        assert_eq!(breaches(&[package("session-keeper", &[(CORE, "")]), core()]), [""; 0]);
        assert_eq!(breaches(&[package("session-keeper-backend", &[(CORE, "")]), core()]).len(), 1);
        assert_eq!(
            breaches(&[package("session-keeper-platform", &[(CORE, "dev")]), core()]).len(),
            1
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_a_breach() {
        assert_eq!(breaches(&[package("session-keeper-new", &[])]).len(), 1);
    }
}
