/** A website of the tests, on `localhost`: the issuer is on `127.0.0.1`, another site. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What is at a path. */
export interface Content {
  readonly body: string;
  /** Of HTML, unless given. */
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

/** Answers a call. */
export type Handler = (body: string, request: IncomingMessage) => Promise<object> | object;

export class Website {
  /** By path. */
  readonly contents = new Map<string, Content>();
  /** By path: what is posted to, and answers with JSON. */
  readonly handlers = new Map<string, Handler>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async start(): Promise<Website> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const website = new Website(server, (server.address() as AddressInfo).port);
    server.on('request', async (request, response) => {
      const path = new URL(request.url ?? '/', website.url).pathname;
      const content = website.contents.get(path);
      const handler = website.handlers.get(path);
      if (request.method === 'POST' && handler) {
        let body = '';
        for await (const part of request) body += part;
        try {
          const answer = await handler(body, request);
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
        } catch (error) {
          response.writeHead(500, { 'content-type': 'application/json' });
          response.end(JSON.stringify({ message: String(error) }));
        }
      } else if (content) {
        const type = content.type ?? 'text/html; charset=utf-8';
        response.writeHead(200, { 'content-type': type, ...content.headers }).end(content.body);
      } else {
        // Browsers ask for an icon by themselves: no page is to blame.
        response.writeHead(path === '/favicon.ico' ? 204 : 404).end();
      }
    });
    return website;
  }

  get url(): string {
    return `http://localhost:${this.port}`;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}
