//! What must stand in no committed file: hosts of registries, paths of somebody's machine, and
//! promises to do it later.

const HOSTS: [&str; 6] = [
    "registry.npmjs.",
    "registry.yarnpkg.",
    "npm.pkg.github.",
    "index.crates.",
    "static.crates.",
    "proxy.golang.",
];
const MACHINE_PATHS: [&str; 3] = ["/work/", "/root/", "/home/"];
const LATER: [&str; 3] = ["TODO", "FIXME", "todo!("];

/// How cargo writes the index that everyone uses, whatever mirror it was fetched from.
const CARGO_INDEX: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub(super) fn check(file: &str, text: &str) -> Vec<(usize, String)> {
    // The rules have to name what they forbid.
    if file.starts_with("xtask/src/tidy/") {
        return Vec::new();
    }
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| Some((index + 1, sentence(file, line)?))).collect()
}

fn sentence(file: &str, line: &str) -> Option<String> {
    if file == "package-lock.json" && line.contains("\"resolved\": \"http") {
        return Some("a registry's host: run npm with the .npmrc of this folder".into());
    }
    if file == "Cargo.lock" && line.starts_with("source = \"registry+") && line != CARGO_INDEX {
        return Some("a registry of one machine: run cargo without it".into());
    }
    if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
        return Some(format!("{host}…: name no registry's host, a mirror would not be found"));
    }
    if let Some(path) = MACHINE_PATHS.iter().find(|path| names_path(line, path)) {
        return Some(format!("{path}…: a path of one machine"));
    }
    let word = LATER.iter().find(|word| line.contains(**word))?;
    Some(format!("{word}: do it, or open an issue"))
}

/// Whether the path starts there: not `network/work/…` nor `https://host/home/…`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"-_./~$}*]".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(file, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn hosts_paths_and_promises_are_named_by_line() {
        let text = "fine\nhttps://registry.npmjs.org/a\ncd /work/main\n// TODO: later\n";
        assert_eq!(lines("docs/guide.md", text), [2, 3, 4]);
    }

    #[test]
    fn a_path_that_only_looks_like_a_machines_is_none() {
        let text = "see team/work/plan and https://a.example/home/ and ~/root/x\n";
        assert_eq!(lines("docs/guide.md", text), [0; 0]);
    }

    #[test]
    fn the_locks_name_no_registry_of_one_machine() {
        let resolved = "      \"resolved\": \"https://mirror.example/a.tgz\",\n";
        assert_eq!(lines("package-lock.json", resolved), [1]);
        let mirror = "source = \"registry+https://mirror.example/index\"\n";
        assert_eq!(lines("Cargo.lock", &format!("{CARGO_INDEX}\n{mirror}")), [2]);
    }
}
