//! One file of the shell knows all capabilities of the browser, and it is driver.rs.
//!
//! The capabilities do not know each other, and whatever else lies beside them knows one at most:
//! so each of them can be read, tested and replaced alone. Two are leaves that all may ask, and
//! that ask nobody: the time, and what the app chose.

use std::collections::BTreeSet;

use super::code_lines;

const CAPABILITIES: [&str; 5] = ["transport", "storage", "tabs", "page", "entropy"];
const LEAVES: [&str; 2] = ["clock", "options"];
/// They know everything, or name everything.
const EXEMPT: [&str; 2] = ["driver", "lib"];

pub(super) fn check(file: &str, text: &str) -> Vec<(usize, String)> {
    let module = file.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs"));
    let Some(module) = module.filter(|name| !name.contains('/') && !EXEMPT.contains(name)) else {
        return Vec::new();
    };
    let is_leaf = LEAVES.contains(&module);
    let allowed = usize::from(!is_leaf && !CAPABILITIES.contains(&module));
    let mut known = BTreeSet::new();
    let mut breaches = Vec::new();
    for (line, other) in mentions(text) {
        let is_asked_by_all = !is_leaf && LEAVES.contains(&other);
        if other == module || is_asked_by_all || !known.insert(other) || known.len() <= allowed {
            continue;
        }
        let sentence = match allowed {
            0 => format!("{module} must not know {other}; only driver.rs knows them both"),
            _ => format!("{module} knows {other} too; only driver.rs knows more than one"),
        };
        breaches.push((line, sentence));
    }
    breaches
}

/// Each capability that is named from the crate's root, with the line that names it.
fn mentions(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut group = String::new();
    for (number, line) in code_lines(text) {
        // A group of `use crate::{…}` may run over lines.
        let starts = line.trim_start().starts_with("use crate::{");
        if starts || !group.is_empty() {
            group.push_str(line);
            if !line.contains(';') {
                continue;
            }
            let names = group.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            let heads: Vec<_> = names.filter_map(|name| name.split("::").next()).collect();
            found.extend(known(|capability| heads.contains(&capability), number));
            group.clear();
            continue;
        }
        found.extend(known(|capability| names_module(line, capability), number));
    }
    found
}

fn known(is_named: impl Fn(&str) -> bool, line: usize) -> Vec<(usize, &'static str)> {
    CAPABILITIES
        .into_iter()
        .chain(LEAVES)
        .filter(|name| is_named(name))
        .map(|name| (line, name))
        .collect()
}

fn names_module(line: &str, capability: &str) -> bool {
    ["crate::", "super::"].iter().any(|root| {
        line.match_indices(&format!("{root}{capability}")).any(|(start, path)| {
            line[start + path.len()..]
                .chars()
                .next()
                .is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_may_know_everything() {
        assert_eq!(check("src/driver.rs", "use crate::clock::Clock;\nuse crate::page;\n"), []);
    }

    #[test]
    fn a_capability_that_knows_another_is_a_breach_in_every_spelling() {
        for text in [
            "use crate::page::Page;",
            "use crate::{page, js};",
            "use crate::{\n    js,\n    page::Page,\n};",
            "    let hidden = crate::page::is_hidden();",
            "use super::page;",
        ] {
            assert_eq!(check("src/storage.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_capability_may_know_itself_and_what_is_no_capability() {
        let text = "use crate::storage::Kind;\nuse crate::record::Record;\nuse crate::pager::A;";
        assert_eq!(check("src/storage.rs", text), []);
    }

    #[test]
    fn everyone_may_ask_the_clock_and_the_options_and_these_ask_nobody() {
        let text = "use crate::clock;\nuse crate::options::Options;\n";
        assert_eq!(check("src/transport.rs", text), []);
        assert_eq!(check("src/clock.rs", "use crate::options::Options;").len(), 1);
        assert_eq!(check("src/options.rs", "use crate::storage::Storage;").len(), 1);
    }

    #[test]
    fn another_file_may_know_one_capability_and_not_two() {
        assert_eq!(check("src/export.rs", "use crate::storage::{A, B};\n"), []);
        let two = "use crate::storage::A;\nuse crate::driver::Keeper;\nuse crate::page::B;\n";
        let found = check("src/export.rs", two);
        let sentence = "export knows page too; only driver.rs knows more than one";
        assert_eq!(found, [(3, sentence.to_owned())]);
    }
}
