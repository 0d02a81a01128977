//! The wasm as text that a script can carry: LZMA, then base64.
//!
//! Rule: what is written unpacks to the same bytes, or the build fails. `js/src/unpack.ts` is the
//! other half and knows the parameters by heart, so they stand in no header. Why LZMA, and why
//! base64 around it: `docs/adr/0001-inline-lzma.md`.

use std::io::{self, Read, Write};

use lzma_rust2::{LzmaOptions, LzmaReader, LzmaWriter, MfType};

use crate::failure::Failure;

// The literal coder looks at the 3 high bits of the byte before, and nothing looks at the position:
// wasm is aligned to nothing. Of all the combinations this is the smallest, by 0.3 % and more.
const LITERAL_CONTEXT_BITS: u32 = 3;
const LITERAL_POSITION_BITS: u32 = 0;
const POSITION_BITS: u32 = 0;

/// More than any wasm that a page would carry inline.
const DICTIONARY_BYTES: u32 = 1 << 20;

/// What the module exports, for TypeScript.
pub(crate) const DECLARATION: &str = "\
/** The wasm, for `unpack`. */
export const packed: string;
/** How many bytes the wasm has. */
export const size: number;
";

/// The module that exports the wasm as `packed` and `size`.
pub(crate) fn module(wasm: &[u8]) -> Result<String, Failure> {
    let packed = compress(wasm).expect("the options are constants, and memory takes every write");
    if decompress(&packed, wasm.len()).is_none_or(|unpacked| unpacked != wasm) {
        let text = "the wasm does not survive its packing: change the version of lzma-rust2";
        return Err(Failure::Broken(text.into()));
    }
    let (packed, size) = (base64(&packed), wasm.len());
    Ok(format!("export const packed =\n  \"{packed}\";\nexport const size = {size};\n"))
}

/// Without header and end marker: the reader knows the parameters and the size.
fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let options = LzmaOptions {
        dict_size: DICTIONARY_BYTES,
        lc: LITERAL_CONTEXT_BITS,
        lp: LITERAL_POSITION_BITS,
        pb: POSITION_BITS,
        // As far as the format goes: it takes a tenth of a second, once.
        nice_len: LzmaOptions::NICE_LEN_MAX,
        depth_limit: 1000,
        mf: MfType::Bt4,
        ..LzmaOptions::with_preset(9)
    };
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false)?;
    writer.write_all(bytes)?;
    writer.finish()
}

fn decompress(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut reader = LzmaReader::new(
        packed,
        size as u64,
        LITERAL_CONTEXT_BITS,
        LITERAL_POSITION_BITS,
        POSITION_BITS,
        DICTIONARY_BYTES,
        None,
    )
    .ok()?;
    let mut bytes = Vec::with_capacity(size);
    reader.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let octet = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for digit in 0..4 {
            let value = group >> (18 - 6 * digit) & 63;
            let is_padding = digit > chunk.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_unpacks_to_the_same_bytes() {
        let mut dice = 1_u32;
        let mut noise = || {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 24) as u8
        };
        let noise: Vec<u8> = (0..5000).map(|_| noise()).collect();
        for bytes in [b"".as_slice(), b"\0", b"a session, a session", &[0; 70_000], &noise] {
            let packed = compress(bytes).expect("memory takes every write");
            assert_eq!(decompress(&packed, bytes.len()).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn a_damaged_pack_is_noticed() {
        let bytes = b"the quick brown fox jumps over the lazy dog".repeat(20);
        let mut packed = compress(&bytes).expect("memory takes every write");
        packed[20] ^= 0x10;
        assert_ne!(decompress(&packed, bytes.len()), Some(bytes));
    }

    #[test]
    fn base64_is_as_in_the_examples_of_its_rfc() {
        let examples = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, expected) in examples.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn the_module_tells_the_size_of_what_is_unpacked() {
        let module = module(b"\0asm").expect("packs");
        assert!(module.ends_with("\";\nexport const size = 4;\n"), "{module}");
    }
}
