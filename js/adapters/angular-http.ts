/**
 * session-keeper for Angular's HttpClient: requests go through `keeper.fetch` and are sent by
 * HttpClient's own backend, so that progress events and its testing module go on to work.
 */

import {
  HttpContextToken,
  HttpErrorResponse,
  type HttpEvent,
  type HttpInterceptorFn,
  HttpResponse,
} from "@angular/common/http";
import { Observable } from "rxjs";

import type { SessionKeeper } from "../types.js";

/** `context: new HttpContext().set(RETRY, true)`: a POST may be sent again. */
export const RETRY = new HttpContextToken(() => false);

/** What the keeper reads of a response. */
const READ = ["age", "content-type", "date"];

type Answer = HttpResponse<unknown> | HttpErrorResponse;

/**
 * For `provideHttpClient(withInterceptors([keeperInterceptor(keeper)]))`: requests carry the
 * credential, wait out a cold start and have their 401s settled. A method that may change
 * something is sent again only where the request's context says `RETRY`, or after a refresh.
 */
export function keeperInterceptor(keeper: Pick<SessionKeeper, "fetch">): HttpInterceptorFn {
  return (request, next) =>
    new Observable<HttpEvent<unknown>>((observer) => {
      const over = new AbortController();
      const { signal } = over;
      let last: Answer | undefined;
      const transport = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> =>
        new Promise((resolve, reject) => {
          let { headers } = request;
          const isRequest = input instanceof Request;
          // The address as the keeper resolved it; the request adds its parameters.
          const url = isRequest ? input.url : String(input);
          new Headers(isRequest ? input.headers : init?.headers).forEach(
            (value, name) => (headers = headers.set(name, value)),
          );
          const withCredentials = request.withCredentials || init?.credentials === "include";
          const answer = (response: Answer) => {
            last = response;
            if (response.status) resolve(seen(response));
            else reject(response);
          };
          const sending = next(request.clone({ url, headers, withCredentials })).subscribe({
            next: (event) => (event instanceof HttpResponse ? answer(event) : observer.next(event)),
            error: answer,
          });
          signal.addEventListener("abort", () => sending.unsubscribe());
        });
      const { method, url, context } = request;
      const own = request.headers.get("Authorization");
      keeper
        .fetch(url, {
          method,
          headers: own ? { Authorization: own } : {},
          retry: context.get(RETRY),
          signal,
          transport,
        })
        .then(() => {
          if (last instanceof HttpErrorResponse) throw last;
          observer.next(last!);
          observer.complete();
        })
        .catch((error) => observer.error(error));
      return () => over.abort();
    });
}

function seen({ status, headers }: Answer): Response {
  const kept = new Headers();
  for (const name of READ) {
    const value = headers.get(name);
    if (value) kept.set(name, value);
  }
  return new Response(null, { status, headers: kept });
}
