/**
 * The CSRF token of a cookie session: where it is read, and the requests that carry it.
 *
 * Rule: it stays in memory, and each session has its own. Who calls `send` has made sure that the
 * request goes to the API.
 */

import type { Complain } from "./callbacks.js";

/** What an answer of the API tells about the token: its body, and its header. */
type Learn = (body: unknown, inHeader?: string | null) => void;

/** Sends a request with the token in its header; nothing where none is known. */
type Attempt = (headers: Record<string, string> | undefined) => Promise<Response>;

export interface Csrf {
  readonly header: string;
  /**
   * Sends what changes something, at once where the token is known, and once more where the
   * server tells another one. `isBare`: nobody is signed in, so there is no token to ask for.
   */
  send(attempt: Attempt, options?: { isOnce?: boolean; isBare?: boolean }): Promise<Response>;
  /** The same for a request that is ready to be sent, as `src/transport.rs` makes them. */
  sendRequest(request: Request): Promise<Response>;
  /** Reads an answer that belongs to the session. The body is the user then, without the token. */
  readonly learn: Learn;
  /** A session begins with what its sign-in tells. */
  begin(answer: unknown): void;
  readonly forget: () => void;
}

interface Chosen {
  readonly header: string;
  readonly cookie: string | undefined;
}

/** `ask` asks the API who is signed in, and resolves to nothing where it did not say so. */
export type Ask = () => Promise<{ response: Response; body: unknown } | undefined>;

const MEMBERS = ["csrf_token", "csrfToken"];

export function csrfOf({ header, cookie }: Chosen, ask: Ask, complain: Complain): Csrf {
  let told = "";
  let asking: Promise<void> | undefined;
  let isAnswered = false;

  const token = () => [cookie && readCookie(cookie), told].find(isHeaderValue);
  const read: Learn = (body, inHeader) => {
    const fields = Object(body) as Record<string, unknown>;
    const values = [inHeader, ...MEMBERS.map((name) => fields[name])];
    told = values.find(isHeaderValue) ?? told;
  };
  const asks = async () => {
    const answer = await ask();
    if (!answer) return;
    // An answer that tells none will not tell one the next time.
    isAnswered = true;
    read(answer.body, answer.response.headers.get(header));
    if (!told) complain(`csrf: no answer of verify.path has csrf_token or the header ${header}`);
  };
  const forget = () => {
    told = "";
    isAnswered = false;
  };
  const csrf: Csrf = {
    header,
    forget,
    async send(attempt, { isOnce, isBare } = {}) {
      if (!cookie && !told && !isAnswered && !isBare) {
        await (asking ??= asks().finally(() => (asking = undefined)));
      }
      const sent = token();
      const response = await attempt(sent ? { [header]: sent } : undefined);
      const other = response.status === 403 && response.headers.get(header);
      if (!isHeaderValue(other) || other === sent) return response;
      told = other;
      if (isOnce) return response;
      void response.body?.cancel();
      return attempt({ [header]: other });
    },
    sendRequest: (request) =>
      csrf.send((headers) => {
        const copy = request.clone();
        for (const name in headers) copy.headers.set(name, headers[name]!);
        return fetch(copy);
      }),
    learn(body, inHeader) {
      read(body, inHeader);
      for (const name of MEMBERS) delete (Object(body) as Record<string, unknown>)[name];
    },
    begin(answer) {
      forget();
      read(answer);
    },
  };
  return csrf;
}

/** Not empty, and a header takes it. */
const isHeaderValue = (value: unknown): value is string =>
  typeof value === "string" && /^[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?$/.test(value);

/**
 * The cookie's value as frameworks compare it, that is URL-decoded; empty where there is none.
 */
function readCookie(name: string): string {
  const start = `${name}=`;
  const pair = cookies().find((pair) => pair.startsWith(start));
  return (pair?.slice(start.length) ?? "").replace(/(%[\da-f]{2})+/gi, decode);
}

/** Sandboxed frames throw at the mere mention of cookies. */
function cookies(): string[] {
  try {
    return document.cookie.split("; ");
  } catch {
    return [];
  }
}

/** A sequence that is no UTF-8 stays as it is. */
function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
