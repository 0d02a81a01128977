/**
 * session-keeper for the server side of Next.js: what middleware and a server component may know
 * of a session that is kept in a cookie. Imports nothing at run time.
 *
 * Rule: a server renders for who asks and ends no session. A cookie that is there may be out of
 * date, and an API that does not answer says nothing: the page decides, as it does without Next.
 * A token in the page's storage is known to no server.
 */

/** A `NextRequest`, and whatever reads cookies by name. */
interface CookieReader {
  get(name: string): { readonly value: string } | undefined;
}

interface NextRequestLike {
  readonly url: string;
  readonly cookies: CookieReader;
}

/** Whether the session's cookie is there: `request.cookies`, or `await cookies()`. */
export function hasSessionCookie(cookies: CookieReader, name: string): boolean {
  return !!cookies.get(name)?.value;
}

export interface RequireCookieOptions {
  /** The cookie that the API sets at sign-in. */
  readonly cookie: string;
  /** Where to sign in; gets the address asked for as `returnUrl`. @default "/login" */
  readonly otherwise?: string;
}

/**
 * For `middleware.ts` or `proxy.ts`: leads who has no cookie to the login, and lets everybody else
 * pass. Spares a visitor who is surely signed out the way through the page; protects nothing,
 * which is the API's to do.
 */
export function requireCookie({ cookie, otherwise = "/login" }: RequireCookieOptions) {
  return (request: NextRequestLike): Response | undefined => {
    if (hasSessionCookie(request.cookies, cookie)) return undefined;
    const { pathname, search } = new URL(request.url);
    const target = new URL(otherwise, request.url);
    if (pathname === target.pathname) return undefined;
    target.searchParams.set("returnUrl", pathname + search);
    return Response.redirect(target, 307);
  };
}

export interface AskOptions {
  /** The verify path of the API, as a whole URL. */
  readonly url: string;
  readonly cookie: string;
  /** How long to wait for the API. @default 2_000 */
  readonly timeoutMs?: number;
}

/**
 * For a server component: the user that the API names for the visitor's cookie, and nothing where
 * it names none in time, whatever the reason. Nothing does not mean signed out: render what
 * `restoring` looks like.
 */
export async function askUser<User = unknown>(
  cookies: CookieReader,
  { url, cookie, timeoutMs = 2_000 }: AskOptions,
): Promise<User | undefined> {
  const value = cookies.get(cookie)?.value;
  if (!value) return undefined;
  try {
    const response = await fetch(url, {
      headers: { Cookie: `${cookie}=${value}`, Accept: "application/json" },
      // Not kept for the next visitor, and not carried elsewhere.
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body: unknown = response.ok ? await response.json() : undefined;
    return typeof body === "object" && body ? (body as User) : undefined;
  } catch {
    return undefined;
  }
}
