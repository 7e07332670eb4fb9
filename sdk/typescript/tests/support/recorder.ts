/** A server that is not the issuer: it writes down every byte that reaches it. */

import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';

/** What it answers: a page, or a redirect to an address. */
export type Answer = { html: string } | { location: string };

export class Recorder {
  /** Everything that came, of all connections. */
  received = '';
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** Listens on that address, and answers each request, whatever it asks for. */
  static async start(host: string, answer: () => Answer): Promise<Recorder> {
    const server = createServer((socket) => {
      recorder.sockets.add(socket);
      socket.on('error', () => {}); // a browser that goes away
      socket.on('data', (bytes) => {
        recorder.received += bytes.toString('latin1');
        const given = answer();
        const [head, body] =
          'html' in given
            ? ['200 OK\r\nContent-Type: text/html; charset=utf-8', given.html]
            : [`302 Found\r\nLocation: ${given.location}`, ''];
        const length = Buffer.byteLength(body);
        socket.end(`HTTP/1.1 ${head}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const recorder = new Recorder(server, (server.address() as AddressInfo).port);
    return recorder;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
