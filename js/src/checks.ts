/**
 * Small checks that a table of options is made of. Each takes what the app gave and its option's
 * name, and returns what holds: the value, or the default where nothing was given.
 *
 * Rule: a typo must not pass silently, so an object with a key that nobody knows is refused. Knows
 * no option by name.
 */

import { refuse } from "./errors.js";

export type Check<T> = (value: unknown, option: string) => T;

type Checks = Readonly<Record<string, Check<unknown>>>;
type Checked<C extends Checks> = { [Key in keyof C]: ReturnType<C[Key]> };

/** `setTimeout` fires at once for more. */
const TIMER_MAX = 2 ** 31 - 1;

/** An object with these keys and no other. */
export const object =
  <C extends Checks>(checks: C): Check<Checked<C>> =>
  (value = {}, option) => {
    if (typeof value !== "object" || !value || Array.isArray(value)) {
      refuse(option || "options", "must be an object");
    }
    const given = value as Record<string, unknown>;
    const name = (key: string) => (option ? `${option}.${key}` : key);
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(checks, key)) refuse(name(key), "is no option");
    }
    const pairs = Object.entries(checks);
    return Object.fromEntries(
      pairs.map(([key, check]) => [key, check(given[key], name(key))]),
    ) as Checked<C>;
  };

/** What may be left out and has no default. */
export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value, option) =>
    value === undefined ? value : check(value, option);

/** A whole number, because a fraction of a millisecond is a mistake in the unit. */
export const whole =
  (min: number, defaultValue?: number, max = TIMER_MAX): Check<number> =>
  (value = defaultValue, option) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(option, `must be a whole number from ${min} to ${max}`);

/** One of these words, of which the first is the default, or what else `or` names. */
export const word =
  <W extends string>(words: readonly [W, ...W[]], or = ""): Check<W> =>
  (value = words[0], option) =>
    words.includes(value as W)
      ? (value as W)
      : refuse(option, `must be one of ${words.join(", ")}${or}`);

/** What `check` takes, or a function. */
export const functionOr =
  <F, T>(check: Check<T>): Check<F | T> =>
  (value, option) =>
    typeof value === "function" ? (value as F) : check(value, option);

/** A string of this form, which `sentence` describes. */
export const text =
  (form: RegExp, sentence: string, defaultValue?: string): Check<string> =>
  (value = defaultValue, option) =>
    typeof value === "string" && form.test(value) ? value : refuse(option, sentence);
