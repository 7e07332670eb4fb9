/** A browser as far as a website's handlers see it: its cookies. */

import type { Handlers } from '@auth-agent/sdk/server';

export class Visitor {
  readonly cookies = new Map<string, string>();

  constructor(
    private readonly handlers: Handlers,
    readonly origin = handlers.origin,
  ) {}

  /** What goes into a request's `Cookie` header. */
  get header(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  request(address: string | URL, init: RequestInit = {}): Request {
    const request = new Request(new URL(address, this.origin), init);
    if (this.cookies.size) request.headers.set('cookie', this.header);
    return request;
  }

  /** Opens an address of the website; redirects are not followed. */
  async open(address: string | URL, init: RequestInit = {}): Promise<Response> {
    const response = await this.handlers.handle(this.request(address, init));
    if (!response) throw new Error(`${address} is not of the handlers`);
    for (const set of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = set.split('; ');
      const at = pair.indexOf('=');
      this.cookies.delete(pair.slice(0, at));
      if (!attributes.includes('Max-Age=0')) this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }
}
