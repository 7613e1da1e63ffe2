import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { html } from '../../src/reports/html/markup.ts';
import { pageHtml } from '../../src/reports/html/page.ts';
import { type Serving, serve } from '../../src/viewer/serve.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { problemsOf } from '../reports/pages.ts';

const scratch = temporaryFolder();
const MAX_BYTES = 1000;
let serving: Serving;
let compared: { readonly name: string; readonly bytes: string }[];
let base: URL;

beforeEach(async () => {
  vi.stubEnv('TMPDIR', scratch);
  compared = [];
  serving = await serve({
    maxDroppedBytes: MAX_BYTES,
    page: async (place) => pageHtml({ title: 'the model', lead: '', place, sections: [] }),
    async compare(path, name, place) {
      const bytes = statSync(path).isFile() ? readFileSync(path, 'utf8') : namesIn(path).join(' ');
      compared.push({ name, bytes });
      if (bytes === 'bad') throw new MbertError('MALFORMED', `${path}: <b>bad</b>`, { hint: 'try <i>another</i>' });
      if (bytes === 'bug') throw new RangeError('<b>oops</b>');
      return pageHtml({ title: `with ${name}`, lead: '', place, sections: [{ title: 'x', body: html`${bytes}` }] });
    },
  });
  base = new URL(serving.url);
});
afterEach(async () => {
  await serving.close();
  vi.unstubAllEnvs();
  expect(leftovers()).toEqual([]);
});

const leftovers = () => readdirSync(scratch).filter((name) => name.startsWith('mbert'));

const namesIn = (path: string) => readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: { readonly [name: string]: unknown };
}

interface Asking {
  readonly method?: string;
  readonly headers?: { readonly [name: string]: string };
  readonly body?: string;
}

/** Asks as a browser cannot be made to: with any host, and any path as it is. */
function ask(path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
  return new Promise((done, failed) => {
    const asked = request({ host: '127.0.0.1', port: base.port, path, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    asked.on('error', failed);
    asked.end(body);
  });
}

const token = () => base.pathname.slice(1, -1);
const put = (drop: string, name: string, body: string) =>
  ask(`/${token()}/files/${drop}/${encodeURIComponent(name)}`, { method: 'PUT', body });
const comparison = (drop: string) => ask(`/${token()}/diff?drop=${drop}`);

describe('who is answered', () => {
  test('whoever has the address', async () => {
    const { status, text, headers } = await ask(base.pathname);
    expect(status).toBe(200);
    expect(text).toContain('<title>the model</title>');
    expect(problemsOf(text)).toEqual([]);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
    });
  });

  test.each([
    ['no path', () => '/'],
    ['a wrong token', () => `/${'x'.repeat(token().length)}/`],
    ['a part of the token', () => `/${token().slice(0, -1)}/`],
    ['the token without a page', () => `/${token()}/elsewhere`],
    ['a way out of the folder', () => `/${token()}/../../etc/passwd`],
    ['no address', () => '//['],
  ])('%s finds nothing', async (_, path) => {
    expect(await ask(path())).toMatchObject({ status: 404, text: expect.stringContaining('nothing is here') });
  });

  test('no token is that of another run', async () => {
    const other = await serve({ page: async () => '', compare: async () => '' });
    await other.close();
    expect(new URL(other.url).pathname).not.toBe(base.pathname);
    expect(token()).toMatch(/^[\w-]{24}$/);
  });

  test.each([
    ['evil.example', 403],
    ['evil.example:80', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost', 200],
    ['localhost:8080', 200],
    ['[::1]:8080', 200],
  ])('the host %s: %i', async (host, status) => {
    expect((await ask(base.pathname, { headers: { host } })).status).toBe(status);
  });

  test.each([
    ['an origin that is another', { origin: 'http://evil.example' }],
    ['an origin that is no site', { origin: 'null' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['another site, as the browser tells', { 'sec-fetch-site': 'cross-site' }],
    ['another port, as the browser tells', { 'sec-fetch-site': 'same-site' }],
  ])('files from %s are refused', async (_, headers) => {
    const path = `/${token()}/files/a/model.onnx`;
    expect((await ask(path, { method: 'PUT', body: 'x', headers })).status).toBe(403);
    expect((await comparison('a')).status).toBe(404);
  });

  test('files from the page itself are not', async () => {
    const headers = { host: base.host, origin: base.origin, 'sec-fetch-site': 'same-origin' };
    const path = `/${token()}/files/a/model.onnx`;
    expect((await ask(path, { method: 'PUT', body: 'x', headers })).status).toBe(204);
  });

  test('a POST, as forms of other sites send it, is refused', async () => {
    expect((await ask(base.pathname, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  test('the address that a browser is started with leads to the page once', async () => {
    const { pathname } = new URL(serving.addressOnce());
    expect(await ask(pathname)).toMatchObject({ status: 303, headers: { location: base.pathname } });
    expect((await ask(pathname)).status).toBe(404);
  });

  test('no other interface is listened on', async () => {
    const outer = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const addresses = outer.filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of addresses) {
      await expect(fetch(`http://${address}:${base.port}${base.pathname}`)).rejects.toThrow();
    }
    expect(base.hostname).toBe('127.0.0.1');
  });

  test('a port that is in use is refused by name, with nothing left', async () => {
    const again = serve({ port: Number(base.port), page: async () => '', compare: async () => '' });
    await expect(again).rejects.toThrow(`--port ${base.port}: is in use`);
    expect(leftovers()).toHaveLength(1);
  });
});

describe('dropped files', () => {
  test('are compared under the name that they were dropped by', async () => {
    expect((await put('a', 'model.onnx', 'bytes')).status).toBe(204);
    const { status, text } = await comparison('a');
    expect({ status, compared }).toEqual({ status: 200, compared: [{ name: 'model.onnx', bytes: 'bytes' }] });
    expect(problemsOf(text).filter((problem) => !problem.includes('href="./"'))).toEqual([]);
  });

  test('are compared once, however often the page is loaded', async () => {
    await put('a', 'model.onnx', 'bytes');
    await comparison('a');
    await comparison('a');
    expect(compared).toHaveLength(1);
  });

  test('of a folder come into one, of several none knows the place of', async () => {
    await put('a', 'sst2/config.json', '{}');
    await put('a', 'sst2/1_Pooling/config.json', '{}');
    await comparison('a');
    await put('b', 'model.onnx', '1');
    await put('b', 'model.onnx.data', '2');
    await comparison('b');
    expect(compared).toEqual([
      { name: 'sst2', bytes: '1_Pooling 1_Pooling/config.json config.json' },
      { name: '2 files', bytes: 'model.onnx model.onnx.data' },
    ]);
  });

  test('are compared anew when another one comes to them', async () => {
    await put('a', 'model.onnx', '1');
    await comparison('a');
    await put('a', 'model.onnx.data', '2');
    await comparison('a');
    expect(compared.map(({ name }) => name)).toEqual(['model.onnx', '2 files']);
  });

  test('stay where one of the same name is refused', async () => {
    await put('a', 'model.onnx', 'first');
    expect(await put('a', 'model.onnx', 'second')).toMatchObject({ status: 422, text: 'model.onnx: is there already' });
    await comparison('a');
    expect(compared).toEqual([{ name: 'model.onnx', bytes: 'first' }]);
  });

  test('go when others come', async () => {
    await put('a', 'model.onnx', 'old');
    await put('b', 'model.onnx', 'new');
    expect(await comparison('a')).toMatchObject({ status: 404, text: expect.stringContaining('are gone') });
    await comparison('b');
    expect(compared).toEqual([{ name: 'model.onnx', bytes: 'new' }]);
    const [folder = ''] = leftovers();
    expect(readdirSync(join(scratch, folder))).toEqual(['b']);
  });

  test('that say they are too large are refused before they are read', async () => {
    const { status, text } = await put('a', 'model.onnx', 'x'.repeat(MAX_BYTES + 1));
    expect({ status, text }).toEqual({
      status: 422,
      text: 'model.onnx: more than 1000 bytes with what was dropped with it\ncompare larger models by mbert view MODEL OTHER, which reads them where they lie',
    });
  });

  test('that are too large together are refused, and those that do not say how large they are', async () => {
    expect((await put('a', '1', 'x'.repeat(600))).status).toBe(204);
    expect((await put('a', '2', 'x'.repeat(600))).status).toBe(422);
    const path = `/${token()}/files/b/model.onnx`;
    const headers = { 'transfer-encoding': 'chunked' };
    const { status } = await ask(path, { method: 'PUT', headers, body: 'x'.repeat(MAX_BYTES + 1) });
    expect(status).toBe(422);
    expect((await put('c', '1', 'x'.repeat(MAX_BYTES))).status).toBe(204);
  });

  test.each(['../model.onnx', 'a/../../b', '/etc/passwd', '', 'a\\b', 'c:x', 'x'.repeat(2000)])(
    'under the name %j are refused',
    async (name) => {
      const { status, text } = await put('a', name, 'x');
      expect([404, 422]).toContain(status);
      expect(text).not.toContain(scratch);
      const entries = readdirSync(scratch, { recursive: true, withFileTypes: true });
      expect(entries.filter((entry) => entry.isFile())).toEqual([]);
    },
  );

  test.each(['..', 'a%2f..', 'A%20B', 'x'.repeat(65)])('of the drop %j are refused', async (drop) => {
    const { status } = await ask(`/${token()}/files/${drop}/model.onnx`, { method: 'PUT', body: 'x' });
    expect([400, 404, 405]).toContain(status);
  });

  test('that are no model have a page that says why, escaped, without the temporary folder', async () => {
    await put('a', 'model.onnx', 'bad');
    const { status, text } = await comparison('a');
    expect(status).toBe(422);
    expect(text).toContain('<li>model.onnx: &lt;b&gt;bad&lt;/b&gt;</li>');
    expect(text).toContain('Hint: try &lt;i&gt;another&lt;/i&gt;');
    expect(text).not.toContain(scratch);
  });

  test('that find a bug have a page as well, and the server goes on', async () => {
    await put('a', 'model.onnx', 'bug');
    expect(await comparison('a')).toMatchObject({
      status: 500,
      text: expect.stringContaining('&lt;b&gt;oops&lt;/b&gt;'),
    });
    expect((await ask(base.pathname)).status).toBe(200);
  });
});
