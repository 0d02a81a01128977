//! One seed for each keeper.

/// A seed that differs between browsers: with a constant one all would retry in step. It spreads
/// requests and tells tokens apart, and guards no secret, so the engine's own generator (seeded
/// by the platform for each page) is enough.
pub(crate) fn seed() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    half() << 32 | half()
}
