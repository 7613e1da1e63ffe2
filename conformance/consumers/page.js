// A page in a real Chromium, served from folders of this machine on the loopback interface.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * Opens a browser and a server of `folders`, the first of which has the file wins. `page(path)` opens a page; what it
 * prints is in `lines`, and an error of the page fails whatever waits for it. `isolated` sends the headers without which a
 * page has no threads.
 */
export async function openBrowser(folders, { isolated = false } = {}) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    if (path === '/blank.html') return response.setHeader('content-type', 'text/html').end('<!doctype html>');
    const file = folders
      .map((folder) => join(folder, path))
      .find((name) => existsSync(name) && statSync(name).isFile());
    if (file === undefined) return response.writeHead(404).end();
    response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  return {
    async page(path = '/blank.html') {
      const page = await browser.newPage();
      const outside = [];
      page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(origin) && !url.startsWith('blob:') && !url.startsWith('data:')) outside.push(url);
      });
      const failed = new Promise((_, reject) => page.on('pageerror', reject));
      failed.catch(() => {});
      await page.goto(origin + path);
      return { page, outside, failed };
    },
    async close() {
      await browser.close();
      await new Promise((done) => server.close(done));
    },
  };
}
