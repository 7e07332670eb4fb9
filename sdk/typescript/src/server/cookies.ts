/** What a handler reads headers from: of the Fetch API, of Node, or Next.js's `await headers()`. */
export type HeaderSource =
  | { get(name: string): string | null }
  | { readonly headers: { get(name: string): string | null } | NodeHeaders };

/** Headers as Node has them. */
export type NodeHeaders = Record<string, string | string[] | undefined>;

/** The request's cookies in the order sent: browsers send older ones first (RFC 6265 §5.4). */
export function readCookies(source: HeaderSource): Map<string, string> {
  const headers = 'headers' in source ? source.headers : source;
  const header =
    typeof headers.get === 'function' ? headers.get('cookie') : (headers as NodeHeaders)['cookie'];
  const cookies = new Map<string, string>();
  for (const pair of String(header ?? '').split(';')) {
    const [name, ...value] = pair.trim().split('=');
    // Of two with one name the first is the more specific one.
    if (name && value.length && !cookies.has(name)) cookies.set(name, value.join('='));
  }
  return cookies;
}

/** How this website's cookies are set. */
export interface CookieKind {
  /** Over https they are Secure and have the prefix `__Host-`: no other host can set them. */
  readonly secure: boolean;
  /** Part of the names: two websites on one host, on other ports, share their cookies (RFC 6265 §8.5). */
  readonly clientId: string;
}

/** The name of a cookie of ours. It must not begin like the issuer's own, which may be on this host. */
export function cookieName({ secure, clientId }: CookieKind, name: string): string {
  return `${secure ? '__Host-' : ''}auth_agent_${name}.${clientId.replace(/[^\w-]/g, '').slice(0, 40)}`;
}

/** A `Set-Cookie` value. `maxAge` is in seconds; 0 removes it. */
export function setCookie({ secure }: CookieKind, name: string, value: string, maxAge: number): string {
  return `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
}
