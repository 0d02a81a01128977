//! Files that can be read at a sitting and functions that can be seen at once.
//!
//! A function ends where a line closes it at its own indentation, which rustfmt and Prettier see
//! to.

use super::is_script;

const FILE: usize = 400;
const TEST_FILE: usize = 500;
const FUNCTION: usize = 70;
const WIDTH: usize = 100;

pub(super) fn check(file: &str, text: &str) -> Vec<(usize, String)> {
    if !(file.ends_with(".rs") || is_script(file)) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    let most = if is_test(file) { TEST_FILE } else { FILE };
    // The declarations are the reference of the public face, to be found in one place.
    if lines.len() > most && !file.ends_with(".d.ts") {
        breaches.push((most + 1, format!("{} lines; {most} are the most", lines.len())));
    }
    for (index, line) in lines.iter().enumerate() {
        let width = line.chars().count();
        if width > WIDTH {
            breaches.push((index + 1, format!("{width} columns; {WIDTH} are the most")));
        }
        if !starts_function(file, line) {
            continue;
        }
        let length = function_length(&lines[index..]);
        if length > FUNCTION {
            let sentence = format!("a function of {length} lines; {FUNCTION} are the most");
            breaches.push((index + 1, sentence));
        }
    }
    breaches
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests")
        || ["_tests.rs", ".test.mjs", ".test.ts"].iter().any(|ending| file.ends_with(ending))
}

fn starts_function(file: &str, line: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") || line.starts_with('*') {
        return false;
    }
    if file.ends_with(".rs") {
        let mut words = line.split_whitespace();
        let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
        return words.find(|word| !modifiers.contains(word)) == Some("fn");
    }
    // `describe` and its like hold functions and are none.
    let groups = ["describe(", "suite(", "describe.", "suite."];
    if groups.iter().any(|group| line.starts_with(group)) {
        return false;
    }
    line.contains("function ")
        || line.contains("function(")
        || line.ends_with("=> {")
        || is_method(line)
}

/// `name(…) {`, and not one of the statements that look like it.
fn is_method(line: &str) -> bool {
    let statements = ["if", "for", "while", "switch", "catch", "with", "}"];
    let head = line.split(['(', ' ']).next().unwrap_or_default();
    line.ends_with(") {") && !statements.contains(&head)
}

/// Up to the first line that closes at the first line's indentation; one for what has no body.
fn function_length(lines: &[&str]) -> usize {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let first = lines.first().map_or(0, |line| indent(line));
    for (index, line) in lines.iter().enumerate() {
        if indent(line) != first {
            continue;
        }
        let ends = line.trim_start().starts_with('}') || line.ends_with(['}', ';']);
        if ends {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(lines: usize) -> String {
        "    step();\n".repeat(lines)
    }

    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(file, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_function_of_71_lines_is_a_breach_where_it_starts() {
        for (file, head) in [
            ("src/a.rs", "pub(crate) fn a() {"),
            ("src/a.rs", "async fn a(\n    b: u8,\n) -> u8 {"),
            ("js/src/a.ts", "export async function a() {"),
            ("tests/a.test.mjs", "test(\"a\", async () => {"),
            ("js/src/a.ts", "const a = (b) => {"),
            ("js/src/a.ts", "start(options: Options) {"),
        ] {
            let inner = FUNCTION - 1 - head.lines().count();
            assert_eq!(lines(file, &format!("\n{head}\n{}}}\n", body(inner))), [0; 0], "{head}");
            assert_eq!(lines(file, &format!("\n{head}\n{}}}\n", body(inner + 1))), [2], "{head}");
        }
    }

    #[test]
    fn a_group_of_tests_and_a_loop_are_no_functions() {
        for head in ["describe(\"a\", () => {", "if (a) {", "for (const a of b) {"] {
            assert_eq!(lines("tests/a.test.mjs", &format!("{head}\n{}}}\n", body(90))), [0; 0]);
        }
    }

    #[test]
    fn a_file_of_401_lines_is_a_breach_and_a_test_may_have_500() {
        assert_eq!(lines("src/a.rs", &"a\n".repeat(400)), [0; 0]);
        assert_eq!(lines("src/a.rs", &"a\n".repeat(401)), [401]);
        assert_eq!(lines("tests/a.rs", &"a\n".repeat(500)), [0; 0]);
        assert_eq!(lines("crates/core/src/a_tests.rs", &"a\n".repeat(501)), [501]);
    }

    #[test]
    fn a_line_of_101_columns_is_a_breach() {
        assert_eq!(lines("www/a.mjs", &format!("{}\n{}", "ä".repeat(100), "ä".repeat(101))), [2]);
        assert_eq!(lines("README.md", &"a".repeat(300)), [0; 0]);
    }
}
