//! Shorter names between the wasm and its glue, and a way to start it that brings no more along.
//!
//! wasm-bindgen names each import with a hash of 16 digits, which no compression shortens and which
//! stands in the wasm and in the glue; and its `init` can fetch and complain, which nobody here
//! asks for. Rule: each name that binaryen reports must be found, or the build fails: a glue that
//! looks otherwise after an update must not be delivered half renamed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::runner::Runner;
use crate::workspace::Workspace;

/// What the baseline does not need: an encoder of browsers from before 2020, and a way round an
/// engine that gives up after it has decoded 2 GB, of which a page of ours decodes a few KB a
/// minute.
const OLD_ENGINES: [(&str, &str); 2] = [
    (
        "    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
",
        "",
    ),
    (
        "if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}
",
        "",
    ),
];

/// What the face starts the wasm by. Bundlers drop wasm-bindgen's own two then.
const START: &str = "
export function startSync(bytes) {
    start_with(new WebAssembly.Instance(new WebAssembly.Module(bytes), __wbg_get_imports()));
}
export async function startLater(bytes) {
    start_with((await WebAssembly.instantiate(bytes, __wbg_get_imports())).instance);
}
function start_with(instance) {
    __wbg_finalize_init(instance);
}
";

const START_TYPES: &str = "
/** Compiles and starts the wasm at once; engines may refuse with a RangeError or CompileError. */
export function startSync(bytes: Uint8Array<ArrayBuffer>): void;
/** The same without blocking, for engines that refuse the other. */
export function startLater(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
";

/// Renames in `folder`: `glue_bg.wasm` becomes `short.wasm`; returns the glue and its declarations.
pub(crate) fn shorten(
    workspace: &Workspace,
    runner: &Runner,
    folder: &Path,
) -> Result<(String, String), Failure> {
    let mut rename = workspace.npm_tool("wasm-opt");
    rename
        .arg("--minify-imports-and-exports-and-modules")
        .arg(folder.join("glue_bg.wasm"))
        .arg("-o")
        .arg(folder.join("short.wasm"));
    let printed = runner.read("wasm-opt (names)", &mut rename)?;
    let glue = read(&folder.join("glue.js"))?;
    let types = read(&folder.join("glue.d.ts"))?;
    let names = serde_json::from_str(&printed)
        .map_err(|error| Failure::Usage(format!("wasm-opt printed no map of names: {error}")))?;
    Ok((renamed(&glue, &names)? + START, types + START_TYPES))
}

fn renamed(glue: &str, names: &Value) -> Result<String, Failure> {
    let mut glue = replaced(glue, "\"./glue_bg.js\": import0", "\"a\": import0")?;
    for (old, new) in OLD_ENGINES {
        glue = replaced(&glue, old, new)?;
    }
    for [_, name, short] in rows(&names["imports"]) {
        glue = replaced(
            &glue,
            &format!("        {name}: function("),
            &format!("        {short}: function("),
        )?;
    }
    // Some exports are the engine's own business and not called by the glue.
    for [name, short] in rows(&names["exports"]) {
        glue = replace_member(&glue, name, short);
    }
    Ok(glue)
}

/// The rows of a table of strings.
fn rows<const N: usize>(table: &Value) -> impl Iterator<Item = [&str; N]> {
    let rows = table.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| {
        let cells: Vec<&str> = row.as_array()?.iter().filter_map(Value::as_str).collect();
        cells.try_into().ok()
    })
}

fn replaced(text: &str, old: &str, new: &str) -> Result<String, Failure> {
    if text.matches(old).count() == 1 {
        return Ok(text.replacen(old, new, 1));
    }
    Err(Failure::Usage(format!("the glue has no single `{}`: see xtask/src/glue.rs", old.trim())))
}

/// `wasm.name` where the name does not go on.
fn replace_member(text: &str, name: &str, short: &str) -> String {
    let old = format!("wasm.{name}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&old) {
        out.push_str(before);
        let goes_on =
            after.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '$');
        if goes_on {
            out.push_str(&old);
        } else {
            out.push_str("wasm.");
            out.push_str(short);
        }
        rest = after;
    }
    out + rest
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GLUE: &str = "
    return { \"./glue_bg.js\": import0 };
        __wbg_now_1: function() {},
        __wbg_now_12: function(arg0) {},
    wasm.start(1); wasm.start_more(2); wasm.start";

    fn glue() -> String {
        let old: String = OLD_ENGINES.map(|(old, _)| old).concat();
        GLUE.to_owned() + &old
    }

    #[test]
    fn names_are_replaced_whole() {
        let names = json!({
            "imports": [["m", "__wbg_now_1", "b"], ["m", "__wbg_now_12", "c"]],
            "exports": [["start", "d"], ["start_more", "e"], ["unused", "f"]],
        });
        let glue = renamed(&glue(), &names).expect("every import is there");
        assert!(
            glue.contains("        b: function()") && glue.contains("        c: function(arg0)")
        );
        assert!(glue.contains("wasm.d(1); wasm.e(2); wasm.d") && glue.contains("\"a\": import0"));
    }

    #[test]
    fn a_glue_that_looks_otherwise_fails_the_build() {
        let names = json!({ "imports": [["./glue_bg.js", "__wbg_gone", "b"]], "exports": [] });
        assert!(renamed(&glue(), &names).is_err());
        assert!(renamed("return {}", &json!({ "imports": [], "exports": [] })).is_err());
    }
}
