/**
 * The errors of the package: what the caller can fix, typed by what is wrong. No message holds a
 * token. What only the server or the network can fix is no error but a state.
 */

import type { KeeperErrorCode } from "../types.js";

/** Before each line on the console. */
export const PREFIX = "[session-keeper] ";

export class KeeperError extends Error {
  override readonly name = "KeeperError";
  declare readonly code: KeeperErrorCode;
  declare readonly option: string | undefined;

  constructor(code: KeeperErrorCode, message: string, option?: string) {
    super(message);
    Object.assign(this, { code, option });
  }
}

/** Refuses an option, by name, in a sentence that says what it must be. */
export function refuse(option: string, sentence: string): never {
  throw new KeeperError("invalid-option", `${option} ${sentence}`, option);
}
