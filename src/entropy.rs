//! One seed for each keeper, from the browser's generator.

use js_sys::Uint8Array;

/// A seed that differs between browsers: with a constant one all would retry in step. Where the
/// generator is missing the clocks have to do; the seed guards no secret.
pub(crate) fn seed() -> u64 {
    let bytes = Uint8Array::new_with_length(8);
    let crypto = web_sys::window().and_then(|window| window.crypto().ok());
    let filled = crypto.and_then(|it| it.get_random_values_with_array_buffer_view(&bytes).ok());
    if filled.is_none() {
        let now = crate::clock::now();
        return now.wall.0 ^ now.monotonic.as_millis() << 32;
    }
    (0..8).fold(0, |seed, index| seed << 8 | u64::from(bytes.get_index(index)))
}
