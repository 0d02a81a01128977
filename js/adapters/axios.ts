/**
 * session-keeper for axios 1: an instance whose requests go through `keeper.fetch`, and are sent
 * by the adapter that the instance has, so that progress events and mocks go on to work.
 */

import {
  type AxiosError,
  AxiosHeaders,
  type AxiosInstance,
  type AxiosResponse,
  getAdapter,
  type InternalAxiosRequestConfig,
} from "axios";

import type { KeeperRequestInit, SessionKeeper } from "../types.js";

declare module "axios" {
  interface AxiosRequestConfig {
    /**
     * `retry`: whether the request may be sent again where its method may change something; GET,
     * HEAD and OPTIONS always are. @default false
     */
    sessionKeeper?: Pick<KeeperRequestInit, "retry">;
  }
}

/** What the keeper reads of a response. */
const READ = ["age", "content-type", "date"];

/**
 * Makes the instance's requests carry the credential, wait out a cold start and have their 401s
 * settled. A relative URL without `baseURL` is appended to the keeper's `baseUrl`. Returns what
 * puts the instance back.
 */
export function attach(instance: AxiosInstance, keeper: Pick<SessionKeeper, "fetch">): () => void {
  const { defaults } = instance;
  const before = defaults.adapter;
  const adapter = async (config: InternalAxiosRequestConfig): Promise<AxiosResponse> => {
    const send = getAdapter(before, config);
    const own = config.headers.get("Authorization");
    let response: AxiosResponse | undefined;
    let error: unknown;
    const transport = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
      const isRequest = input instanceof Request;
      const headers = new AxiosHeaders(config.headers);
      new Headers(isRequest ? input.headers : init?.headers).forEach((value, name) =>
        headers.set(name, value),
      );
      const url = isRequest ? input.url : String(input);
      const withCredentials = config.withCredentials || init?.credentials === "include";
      try {
        error = undefined;
        response = await send({
          ...config,
          headers,
          url,
          withCredentials,
          baseURL: "",
          params: undefined,
        });
      } catch (failure) {
        error = Object.assign(failure as AxiosError, { config });
        response = (failure as AxiosError).response;
        if (!response) throw failure;
      }
      // What an app may log or send again is the request as the app made it, without a token.
      response.config = config;
      return seen(response);
    };
    await keeper.fetch(instance.getUri(config), {
      method: config.method ?? "GET",
      headers: own ? { Authorization: String(own) } : {},
      signal: config.signal as AbortSignal,
      ...config.sessionKeeper,
      transport,
    });
    if (error) throw error;
    return response!;
  };
  defaults.adapter = adapter;
  return () => {
    if (defaults.adapter === adapter) Object.assign(defaults, { adapter: before });
  };
}

function seen({ status, headers }: AxiosResponse): Response {
  // An adapter of the app's own may give none, or spell them as it likes.
  const given = AxiosHeaders.from(headers as AxiosHeaders);
  const kept = new Headers();
  for (const name of READ) if (given.has(name)) kept.set(name, String(given.get(name)));
  return new Response(null, { status, headers: kept });
}
