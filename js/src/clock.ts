/**
 * The face's one look at the clock: for `expires_in`, which counts from now, and the debug view.
 *
 * Rule: nothing is decided by it. What time means for a session is the core's, which has a clock
 * of its own.
 */

export const now = (): number => Date.now();
