import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MbertError } from '../errors.ts';
import { isSystemError } from '../io/file-error.ts';
import type { ServedPlace } from '../reports/html/page.ts';
import { isToken, refusalOf } from './admission.ts';
import { DroppedFiles, MAX_DROPPED_BYTES } from './dropped-files.ts';
import { errorPage } from './error-page.ts';

export interface ServeOptions {
  /** Makes the page of the model, once. */
  page(place: ServedPlace): Promise<string>;
  /** Makes the page that compares the model with another one. */
  compare(path: string, name: string, place: ServedPlace): Promise<string>;
  /** Port to listen on. Default: one that is free. */
  readonly port?: number | undefined;
  /** Most bytes that are taken of dropped files. */
  readonly maxDroppedBytes?: number | undefined;
}

/** A running server. */
export interface Serving {
  /** Address of the page, with the token. */
  readonly url: string;
  /**
   * Makes an address that leads to the page once: the one that a browser is started with can be seen in the list of
   * processes, also by others.
   */
  addressOnce(): string;
  /** Ends it, and removes what was dropped. */
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

/** Most connections at a time; a browser opens six. */
const MAX_CONNECTIONS = 32;

/** A file of gigabytes takes longer through a tunnel than the five minutes that Node gives it; headers do not. */
const TIMEOUTS = { requestTimeout: 0, headersTimeout: 60_000 } as const;

/** What pages may be used for: nobody frames them, keeps them or learns their address. Their own policy is in them. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/**
 * Serves a model's page to this machine alone, and takes files to compare the model with. Every address holds a token
 * that nobody can guess. Throws USAGE for a port that is in use.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { maxDroppedBytes = MAX_DROPPED_BYTES } = options;
  const page = await options.page({ maxDroppedBytes, isFirst: true });
  const place = { maxDroppedBytes, isFirst: false };
  const token = randomBytes(18).toString('base64url');
  const once = new Set<string>();
  const files = new DroppedFiles(maxDroppedBytes);
  const comparisons = new Map<string, Promise<string>>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, headers } = request;
    const refusal = refusalOf({
      method,
      host: headers.host,
      origin: headers.origin,
      site: headers['sec-fetch-site']?.toString(),
    });
    if (refusal !== undefined) return send(response, 403, refusal);
    const url = addressOf(request.url ?? '');
    const [given = '', part = '', ...rest] = url.pathname.slice(1).split('/');
    if (given === 'once' && once.delete(part)) return redirect(response, `/${token}/`);
    if (!isToken(given, token)) return send(response, 404, NOTHING_HERE);
    if (method === 'PUT' && part === 'files' && rest.length === 2) {
      return take(request, response, rest as [string, string]);
    }
    if (method !== 'GET') return send(response, 405, 'method: only pages and dropped files');
    if (part === '' && rest.length === 0) return sendPage(response, 200, page);
    if (part === 'diff' && rest.length === 0) return sendComparison(response, url.searchParams.get('drop') ?? '');
    return send(response, 404, NOTHING_HERE);
  };

  const take = async (request: IncomingMessage, response: ServerResponse, [drop, encoded]: [string, string]) => {
    if (!/^[0-9a-z-]{1,64}$/.test(drop)) return send(response, 400, 'drop: has an odd id');
    try {
      comparisons.clear();
      await files.receive(drop, decoded(encoded), request, Number(request.headers['content-length'] ?? 0));
      send(response, 204, '');
    } catch (cause) {
      if (!(cause instanceof MbertError)) throw cause;
      // What is still on its way is not read.
      response.setHeader('Connection', 'close');
      send(response, 422, [cause.message, cause.hint ?? ''].join('\n').trim());
    }
  };

  const sendComparison = async (response: ServerResponse, drop: string) => {
    const dropped = files.pathOf(drop);
    if (dropped === undefined) {
      const gone = new MbertError('NOT_FOUND', 'the files of this comparison are gone: others were dropped', {
        hint: 'drop them once more',
      });
      return sendPage(response, 404, errorPage(gone, place));
    }
    const comparison = comparisons.get(drop) ?? options.compare(dropped.path, dropped.name, place);
    comparisons.set(drop, comparison);
    try {
      sendPage(response, 200, await comparison);
    } catch (cause) {
      if (!(cause instanceof MbertError)) throw cause;
      sendPage(
        response,
        422,
        errorPage(cause, place, (text) => files.withoutFolder(text)),
      );
    }
  };

  const server = createServer(TIMEOUTS, (request, response) => {
    answer(request, response).catch((cause) => {
      if (!response.headersSent) sendPage(response, 500, errorPage(cause, place));
      else response.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await listen(server, options.port ?? 0);
  } catch (cause) {
    files.remove();
    throw cause;
  }
  const { port } = server.address() as AddressInfo;
  const base = `http://${LOOPBACK}:${port}`;
  return {
    url: `${base}/${token}/`,
    addressOnce() {
      const key = randomBytes(18).toString('base64url');
      once.add(key);
      return `${base}/once/${key}`;
    },
    async close() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
      files.remove();
    },
  };
}

const NOTHING_HERE = 'nothing is here: open the address that mbert view has printed';

function listen(server: Server, port: number): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', (cause) => {
      const isTaken = isSystemError(cause) && cause.code === 'EADDRINUSE';
      const problem = isTaken ? 'is in use' : `cannot be listened on: ${cause.message}`;
      failed(
        new MbertError('USAGE', `--port ${port}: ${problem}`, { hint: 'without --port a free one is taken', cause }),
      );
    });
    server.listen(port, LOOPBACK, done);
  });
}

/** What was asked for; the root, where nothing is, for what is no address. */
function addressOf(url: string): URL {
  const base = `http://${LOOPBACK}/`;
  return new URL(URL.canParse(url, base) ? url : base, base);
}

/** Name of a file in an address. Throws USAGE for one that is no encoded text. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch (cause) {
    throw new MbertError('USAGE', 'file name: is no encoded text', { cause });
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
}

function sendPage(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/html; charset=utf-8' }).end(page);
}

function redirect(response: ServerResponse, to: string): void {
  response.writeHead(303, { ...HEADERS, Location: to }).end();
}
