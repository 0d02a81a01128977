/**
 * The face's one look at the clock: for `expires_in`, which counts from now, the debug view and
 * the fallback. What time means for a session is the core's, which has a clock of its own.
 */

export const now = (): number => Date.now();

/** For lengths of time, which a clock that is set must not change. */
export const elapsed = (): number => performance.now();
