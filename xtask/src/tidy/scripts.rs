//! What a script may import: the face only what lies beside it, an adapter only its library, the demo and the tests only the
//! package's public face, as a user would.

use super::{code_lines, is_script};

pub(super) fn check(file: &str, text: &str) -> Vec<(usize, String)> {
    if !is_script(file) {
        return Vec::new();
    }
    let rule: fn(&str, &str) -> Option<&'static str> = match file.split('/').next() {
        Some("js") if file.starts_with("js/src/") => |_, specifier| face(specifier),
        Some("js") if file.starts_with("js/adapters/") => |_, specifier| adapter(specifier),
        Some("www" | "tests") => outside,
        _ => return Vec::new(),
    };
    let mut breaches = Vec::new();
    for (line, code) in code_lines(text) {
        for specifier in specifiers(code) {
            if let Some(reason) = rule(file, specifier) {
                breaches.push((line, format!("imports {specifier}: {reason}")));
            }
        }
    }
    breaches
}

fn face(specifier: &str) -> Option<&'static str> {
    let beside = specifier.starts_with("./") && !specifier.contains("/../");
    let allowed = beside
        || specifier.starts_with("../generated/")
        || matches!(specifier, "../types" | "../types.js" | "../types.d.ts");
    (!allowed).then_some("the face knows itself, ../types and ../generated, and has no dependency")
}

/// At run time nothing of ours, or an app would have two copies of it.
fn adapter(specifier: &str) -> Option<&'static str> {
    let is_library = !specifier.starts_with('.') && !specifier.starts_with("session-keeper");
    let allowed = is_library || matches!(specifier, "../types.js" | "./view.js");
    (!allowed).then_some("an adapter knows its library, ../types and ./view, and gets the keeper")
}

fn outside(file: &str, specifier: &str) -> Option<&'static str> {
    if !specifier.starts_with('.') && !specifier.starts_with('/') {
        let inner = specifier.starts_with("session-keeper/dist");
        return inner.then_some("only the package's public face is the users' to import");
    }
    // What a page serves from its root is no file of ours.
    if specifier.starts_with('/') && !specifier.starts_with("//") {
        return None;
    }
    let leaves = depth_after(file, specifier) < 1;
    leaves.then_some("demo and tests import the package by its name, and files of their own folder")
}

/// How many folders deep a relative import ends; below one it has left the importer's top folder.
fn depth_after(file: &str, specifier: &str) -> i32 {
    let mut depth = file.matches('/').count() as i32;
    let mut lowest = depth;
    let (folders, _) = specifier.rsplit_once('/').unwrap_or((specifier, ""));
    for part in folders.split('/') {
        match part {
            "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        lowest = lowest.min(depth);
    }
    lowest
}

/// The quoted word after `from`, `import` or `import(`.
fn specifiers(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for keyword in ["from ", "import ", "import(", "require("] {
        for (start, _) in code.match_indices(keyword) {
            let rest = &code[start + keyword.len()..];
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            let word = quote.and_then(|quote| rest[1..].split_once(quote));
            found.extend(word.map(|(word, _)| word));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importing(file: &str, specifier: &str) -> Vec<(usize, String)> {
        check(file, &format!("// first\nimport {{ a }} from \"{specifier}\";\n"))
    }

    #[test]
    fn the_face_imports_only_itself_types_and_what_is_generated() {
        for specifier in ["./events.js", "../types", "../generated/glue.js"] {
            assert_eq!(importing("js/src/index.ts", specifier), [], "{specifier}");
        }
        for specifier in ["react", "../../www/page.mjs", "node:fs", "../src/x.js"] {
            assert_eq!(importing("js/src/index.ts", specifier).len(), 1, "{specifier}");
        }
    }

    #[test]
    fn an_adapter_imports_its_library_and_the_types() {
        for specifier in ["react", "@angular/core", "../types.js", "./view.js"] {
            assert_eq!(importing("js/adapters/react.ts", specifier), [], "{specifier}");
        }
        for specifier in ["../src/index.js", "session-keeper", "./vue.js"] {
            assert_eq!(importing("js/adapters/react.ts", specifier).len(), 1, "{specifier}");
        }
    }

    #[test]
    fn tests_and_demo_import_the_package_by_its_name() {
        for specifier in
            ["session-keeper", "session-keeper/react", "node:test", "./lib.mjs", "../lib.mjs"]
        {
            assert_eq!(importing("tests/e2e/wake.test.mjs", specifier), [], "{specifier}");
        }
        for specifier in
            ["../../js/src/index.ts", "../../dist/index.js", "session-keeper/dist/index.js"]
        {
            let found = importing("tests/e2e/wake.test.mjs", specifier);
            assert_eq!(found.first().map(|(line, _)| *line), Some(2), "{specifier}");
        }
        assert_eq!(importing("www/page.mjs", "../tests/lib.mjs").len(), 1);
    }

    #[test]
    fn every_form_of_import_is_read() {
        for code in ["import \"react\";", "export * from 'react';", "await import(\"react\")"] {
            assert_eq!(check("js/src/index.ts", code).len(), 1, "{code}");
        }
    }
}
