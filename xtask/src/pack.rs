//! The wasm as text that a script can carry: plain hex, which the server's compression packs best
//! (`docs/adr/0001-inline-hex.md`).

use std::fmt::Write as _;

/// What the module exports, for TypeScript.
pub(crate) const DECLARATION: &str = "\
/** The wasm, two lower-case digits a byte. */
export const hex: string;
";

/// The module that exports the wasm as `hex`.
pub(crate) fn module(wasm: &[u8]) -> String {
    let mut module = String::with_capacity(wasm.len() * 2 + 32);
    module.push_str("export const hex =\n  \"");
    for byte in wasm {
        write!(module, "{byte:02x}").expect("memory takes every write");
    }
    module.push_str("\";\n");
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_two_lower_case_digits() {
        assert_eq!(module(b"\0asm\xff"), "export const hex =\n  \"0061736dff\";\n");
    }
}
