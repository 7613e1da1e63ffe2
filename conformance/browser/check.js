// HTML reports in a real Chromium: CHROMIUM=/usr/bin/chromium npm test. SCREENSHOT=file.png writes the picture of the docs.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const NUDGED = 'mobilebert.encoder.layer.7.attention.self.query.weight';
const MOST_BYTES = 2e6;
const MOST_MS = 2000;

const folder = mkdtempSync(join(tmpdir(), 'mbert-browser-'));
const at = (name) => join(folder, name);
let browser;

before(async () => {
  execFileSync('node', [join(ROOT, 'bench/make-checkpoint.js'), at('v1')]);
  cpSync(at('v1'), at('v2'), { recursive: true });
  nudge(join(at('v2'), 'model.safetensors'));
  mbert('diff', 'v1', 'v2', '--report', 'diff.html');
  mbert('inspect', 'v1', '--target', 'tflite', '--report', 'inspect.html');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

function mbert(...argv) {
  const { status, stderr } = spawnSync('node', [join(ROOT, 'bin/mbert.js'), ...argv], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.ok(status === 0 || status === 1, stderr);
}

/** One weight of layer 7 by a quarter. */
function nudge(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const [start] = JSON.parse(bytes.toString('utf8', 8, 8 + length))[NUDGED].data_offsets;
  bytes.writeFloatLE(bytes.readFloatLE(8 + length + start) + 0.25, 8 + length + start);
  writeFileSync(path, bytes);
}

/** Opens a page; `problems` is what it says on the console and asks the network for. */
async function open(name, { size = 'desktop', colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme, deviceScaleFactor: 1 });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  const file = pathToFileURL(at(name)).href;
  page.on('request', (request) => request.url() !== file && problems.push(request.url()));
  await page.goto(file);
  return { page, problems };
}

for (const name of ['diff.html', 'inspect.html']) {
  describe(`${name} of a 24-layer model`, () => {
    test('is small and opens fast, says nothing on the console, asks for nothing', async (context) => {
      const { page, problems } = await open(name);
      const ms = await page.evaluate(() => performance.getEntriesByType('navigation')[0].loadEventEnd);
      const bytes = statSync(at(name)).size;
      assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
      assert.ok(ms > 0 && ms < MOST_MS, `${ms} ms`);
      assert.deepEqual(problems, []);
      context.diagnostic(`${name}: ${(bytes / 1e3).toFixed(0)} kB, ${ms.toFixed(0)} ms`);
    });

    for (const size of Object.keys(SIZES)) {
      for (const colorScheme of ['light', 'dark']) {
        test(`fits a ${size} in ${colorScheme}`, async () => {
          const { page } = await open(name, { size, colorScheme });
          const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(over <= 0, `${over} px too wide`);
          const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
          const [red = 0] = back.match(/\d+/g).map(Number);
          assert.equal(red < 128, colorScheme === 'dark');
        });
      }
    }

    test('layers open and close by mouse and by keyboard, and the focus stays', async () => {
      const { page } = await open(name);
      await page.getByRole('button', { name: 'Close all' }).click();
      assert.equal(await page.locator('.node').count(), 0);
      const head = page.locator('[data-group="3"]');
      await head.focus();
      await page.keyboard.press('Enter');
      assert.ok((await page.locator('.node').count()) > 20);
      assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-group')), '3');
      await page.locator('[data-group="3"] .grip').click();
      assert.equal(await page.locator('.node').count(), 0);
    });

    test('a node is found by its name and told about; zoom changes its size', async () => {
      const { page } = await open(name);
      await page.getByPlaceholder('Find a node').fill('layer.11.attention.output');
      await page.keyboard.press('Enter');
      assert.match(await page.locator('.chosen').innerText(), /layer\.11\.attention\.output/);
      const width = () => page.locator('svg.graph').evaluate((svg) => svg.getBoundingClientRect().width);
      const before = await width();
      await page.getByRole('button', { name: 'Zoom in' }).click();
      assert.ok((await width()) > 1.2 * before);
    });

    test('tables sort both ways and filter', async () => {
      const { page } = await open(name);
      const table = page.locator('section:has(h2:text-is("Operations")) .table');
      const details = page.locator('section:has(h2:text-is("Operations")) details');
      if (await details.count()) await details.locator('summary').click();
      const column = () => table.locator('tbody tr:visible td:first-child').allInnerTexts();
      const heading = table.getByRole('button', { name: 'op', exact: true });
      await heading.click();
      const down = await column();
      await heading.click();
      const up = await column();
      assert.deepEqual(up, down.toReversed());
      assert.deepEqual(
        up,
        up.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })),
      );
      assert.equal(await table.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
      await table.getByPlaceholder('Filter').fill('linear');
      assert.deepEqual(await column(), ['linear']);
    });
  });
}

test('the diff opens at the change', async () => {
  const { page } = await open('diff.html');
  assert.match(await page.locator('.chosen').innerText(), /layer\.7\.attention\.self\.query[\s\S]*max error 0\.25/);
  await page.evaluate(() => window.scrollTo(0, 0));
  const box = await page.locator('.node.is-chosen').boundingBox();
  const canvas = await page.locator('.canvas').boundingBox();
  assert.ok(box.y > canvas.y && box.y + box.height < canvas.y + canvas.height);
  assert.equal(
    await page
      .locator('.map button.marked')
      .innerText()
      .then((text) => text.replace(/\s+/g, ' ')),
    'layer.7 1',
  );
  if (process.env.SCREENSHOT) {
    const graph = await page.locator('#graph').boundingBox();
    const clip = { x: 0, y: 0, width: SIZES.desktop.width, height: Math.ceil(graph.y + graph.height + 18) };
    await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true, clip });
  }
});

test('the page of mbert view compares what is dropped on it and what is chosen, and says what is no model', async () => {
  const model = join(ROOT, 'fixtures/mini-onnx-qa/model.onnx');
  const child = spawn('node', [join(ROOT, 'bin/mbert.js'), 'view', model, '--no-open'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close');
  try {
    const [url] = await once(child.stdout.setEncoding('utf8'), 'data');
    const page = await (await browser.newContext({ viewport: SIZES.desktop })).newPage();
    const errors = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    await page.goto(url.trim());
    await page.locator('.map button').nth(1).click();
    await page.locator('.canvas .node', { hasText: 'linear' }).first().click();
    assert.match(
      await page.locator('value-histogram svg').first().getAttribute('aria-label'),
      /^Histogram: \d+ values/,
    );
    await page.locator('[data-picture] [data-enlarge]').click();
    await page.waitForFunction(() => document.fullscreenElement?.matches('[data-picture]'));
    await page.evaluate(() => document.exitFullscreen());
    await page.setInputFiles('[data-drop] input', model);
    await page.waitForURL(/diff/);
    // The config.json beside the model was not chosen with it.
    assert.equal(await page.locator('.verdict').innerText(), 'different: metadata 1');
    const dropped = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['no model'], '<img src=x>.onnx'));
      return transfer;
    });
    await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });
    await page.waitForFunction(() => document.title.includes('cannot be compared'));
    assert.match(await page.locator('.failures').innerText(), /^<img src=x>.onnx: /);
    await page.locator('.drop a').click();
    await page.waitForURL(url.trim());
    assert.deepEqual(errors, []);
  } finally {
    child.kill('SIGINT');
  }
  assert.deepEqual((await ended)[0], 130);
});
