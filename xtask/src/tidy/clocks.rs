//! Who may ask what time it is: the shell's clock.rs and the face's clock.ts, and nobody else in
//! what decides or drives.

use super::{code_lines, is_script};

const BROWSER_CLOCKS: [&str; 5] =
    ["Date.now", "performance.now", "new Date()", "js_sys::Date", "web_sys::Performance"];
const SYSTEM_CLOCKS: [&str; 2] = ["std::time", "SystemTime"];

pub(super) fn check(file: &str, text: &str) -> Vec<(usize, String)> {
    let is_core = file.starts_with("crates/core/src/");
    let is_shell = file.starts_with("src/") && file != "src/clock.rs";
    let is_face = file.starts_with("js/src/") && is_script(file) && file != "js/src/clock.ts";
    if !(is_core || is_shell || is_face) {
        return Vec::new();
    }
    let clocks = BROWSER_CLOCKS.iter().chain(SYSTEM_CLOCKS.iter().filter(|_| !is_face));
    let forbidden: Vec<_> = clocks.collect();
    let mut breaches = Vec::new();
    for (line, code) in code_lines(text) {
        if let Some(clock) = forbidden.iter().find(|clock| code.contains(**clock)) {
            breaches.push((line, sentence(clock, is_core)));
        }
    }
    breaches
}

fn sentence(clock: &str, is_core: bool) -> String {
    if is_core {
        format!("{clock}: the core is told the time and never asks for it")
    } else {
        format!("{clock}: only clock.rs and clock.ts ask for the time, so that tests can set it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_shell_is_a_breach_except_in_clock_rs() {
        let text = "fn now() -> f64 {\n    js_sys::Date::now()\n}\n";
        assert_eq!(check("src/clock.rs", text), []);
        assert_eq!(check("src/driver.rs", text).first().map(|(line, _)| *line), Some(2));
    }

    #[test]
    fn a_clock_in_the_face_is_a_breach_and_a_given_date_is_not() {
        assert_eq!(check("js/src/keeper.ts", "const now = Date.now();").len(), 1);
        assert_eq!(check("js/src/keeper.ts", "const now = new Date();").len(), 1);
        assert_eq!(check("js/src/keeper.ts", "const at = new Date(text);"), []);
    }

    #[test]
    fn the_core_has_no_clock_of_the_system_either() {
        assert_eq!(check("crates/core/src/time.rs", "use std::time::Instant;").len(), 1);
        assert_eq!(check("crates/core/src/time.rs", "use core::time::Duration;"), []);
        assert_eq!(check("crates/core/src/time.rs", "/// Not `std::time`."), []);
    }

    #[test]
    fn servers_and_pages_may_look_at_their_clock() {
        assert_eq!(check("backend/src/clock.rs", "use std::time::SystemTime;"), []);
        assert_eq!(check("www/page.mjs", "const now = Date.now();"), []);
    }
}
