/**
 * Addresses as options name them: the base of an API, paths below it, origins.
 *
 * Rule: what is no plain http(s) address is refused by the option's name, and no message repeats
 * an address that may hold a password.
 */

import type { Check } from "./checks.js";
import { refuse } from "./errors.js";

const BASE =
  "must be an http(s) URL without credentials, query or hash, or a path that starts with /";
const PATH = "must be a path that starts with /, or an http(s) URL without credentials or hash";
const ORIGINS = "must list origins such as https://files.example.com";

/** The page's origin where it has none: a sandboxed frame, `file://`, `data:`. */
export const OPAQUE = "null";

export interface Base {
  /** What paths are appended to. Without an origin where there is no page to take it from. */
  readonly base: string;
  /** The API's origin; `http://localhost` where nothing is ever sent. */
  readonly origin: string;
  /** The same for a page that has no origin: it does not know where its API is. */
  readonly isUnknown: boolean;
}

/** Reads `baseUrl` for a page of this origin; a server has no page. */
export function readBase(given: unknown, option: string, page: string | undefined): Base {
  const address = given instanceof URL ? given.href : given === undefined ? "/" : given;
  if (typeof address !== "string") return refuse(option, BASE);
  const absolute = parse(address);
  const isPath = /^(\/|$)/.test(address);
  const isUnknown = page === OPAQUE && !absolute;
  const hasPage = page !== undefined && !isUnknown;
  const url = absolute ?? (isPath && parse(address, hasPage ? page : "http://localhost"));
  if (!url || !isPlain(url) || url.search || hasMark(address)) refuse(option, BASE + hint(address));
  const { origin, pathname } = url;
  return {
    base: (absolute || hasPage ? origin : "") + pathname.replace(/\/+$/, ""),
    origin,
    isUnknown,
  };
}

/** A path below the base, or a whole URL for an API that is spread over several hosts. */
export const path =
  (defaultValue?: string): Check<string> =>
  (value = defaultValue, option) => {
    if (typeof value === "string") {
      if (/^\/(?!\/)[^\s#]*$/.test(value)) return value;
      const url = /^https?:\/\/[^\s#]*$/i.test(value) && parse(value);
      if (url && isPlain(url)) return url.href;
    }
    return refuse(option, PATH);
  };

/** Where a path of the options leads. */
export const join = (base: string, path: string): string =>
  path.startsWith("/") ? base + path : path;

/** The origin of a path of the options: the API's, unless the path is a whole URL. */
export const originOf = (path: string, origin: string): string => parse(path)?.origin ?? origin;

export const origins: Check<string[]> = (value = [], option) => {
  if (!Array.isArray(value)) return refuse(option, ORIGINS);
  return value.map((given: unknown) => {
    const url = typeof given === "string" && parse(given);
    if (!url || !isPlain(url) || hasMark(given as string) || url.pathname !== "/") {
      return refuse(option, ORIGINS);
    }
    return url.origin;
  });
};

/** http(s) without credentials or hash. */
const isPlain = (url: URL): boolean =>
  /^https?:/.test(url.protocol) && !url.username && !url.password && !url.hash;

/** A query or a hash, even an empty one. */
const hasMark = (address: string): boolean => /[?#]/.test(address);

/** `api.example.com` is a path to a browser, and nobody means it so. */
function hint(address: string): string {
  const isHost = /^[\w-]+(\.[\w-]+)*(:\d+)?(\/[^\s?#@]*)?$/.test(address);
  const scheme = /^localhost\b/.test(address) ? "http" : "https";
  return isHost ? `: is it ${scheme}://${address}?` : "";
}

function parse(address: string, base?: string): URL | undefined {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
}
