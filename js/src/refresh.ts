/**
 * One attempt to refresh the token, or to acquire one, by the API's path or by the app's function, as a response.
 *
 * Rule: what an answer means is the core's. Nothing here keeps a token.
 */

import type { Acquire, Refresh, RefreshRequest } from "../types.js";
import { join, originOf } from "./addresses.js";
import type { Api } from "./ask.js";
import { type Complain, nameOf } from "./callbacks.js";

/** As the shell calls it: the record, the attempt's id, the signal. */
type Run = (
  record: { refresh_token?: string } | undefined,
  attempt: string,
  signal?: AbortSignal,
) => Promise<Response>;

/** For the shell: how an attempt is made. */
export const runner =
  (attempt: Attempt): Run =>
  (record, id, signal) =>
    attempt({ refreshToken: record?.refresh_token, attempt: id, signal });

export type Attempt = (current: RefreshRequest) => Promise<Response>;

interface Path {
  readonly path: string;
  readonly format: string;
  readonly clientId: string | undefined;
}

/** In cookie mode no token is sent: the attempt alone says which refresh is repeated. */
export const attemptAt =
  ({ path, format, clientId }: Path, api: Api): Attempt =>
  async ({ refreshToken, attempt, signal = null }) => {
    const { base, page, auth, authorize, csrf } = api;
    const url = join(base, path);
    const isCookie = auth === "cookie";
    const headers = new Headers({ Accept: "application/json" });
    const isJson = format === "json";
    if (isJson) headers.set("Content-Type", "application/json");
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: refreshToken ?? "",
    });
    if (clientId) form.set("client_id", clientId);
    // Elsewhere it would have to be allowed.
    if (originOf(url, "") === page) headers.set("X-Background", "1");
    const request = new Request(url, {
      method: "POST",
      cache: "no-store",
      // Following one could carry the token away.
      redirect: "manual",
      credentials: isCookie ? "include" : "same-origin",
      headers,
      body: isJson ? JSON.stringify({ refresh_token: refreshToken, attempt }) : form,
      signal,
    });
    if (isCookie && csrf) return csrf.sendRequest(request);
    return fetch(authorize ? await authorize(request) : request);
  };

/**
 * What the app's function throws is no answer, and neither is nothing; `null` is the server's no.
 */
export const attemptBy =
  (name: string, refresh: Refresh | Acquire, complain: Complain): Attempt =>
  async (current) => {
    let answer: unknown;
    try {
      answer = await refresh(current);
    } catch (error) {
      complain(`${name} threw (${nameOf(error)}): that is no answer, and it is called again`);
      throw error;
    }
    if (answer === null) return new Response(null, { status: 401 });
    if (typeof (answer as Response | undefined)?.text === "function") return answer as Response;
    if (answer === undefined) {
      complain(`${name} returned nothing: it must return an answer, a Response or null`);
    }
    const body = JSON.stringify(typeof answer === "string" ? { token: answer } : (answer ?? {}));
    return new Response(body, { headers: { "Content-Type": "application/json" } });
  };
