// Pictures of reports in a real Chromium, to be looked at: node screenshots.js OUT report.html [http://127.0.0.1:… of mbert view].
// Fails where a page is wider than its window, a plot is cut, or texts of one cover each other.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const VIEWS = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 375, height: 812 }, hasTouch: true, isMobile: true },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
};

const [out = 'screenshots', ...targets] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  for (const target of targets) {
    const isServed = target.startsWith('http://');
    const name = isServed ? 'view' : basename(target, '.html');
    for (const [view, options] of Object.entries(VIEWS)) {
      const page = await (await browser.newContext(options)).newPage();
      await page.goto(isServed ? target : pathToFileURL(resolve(target)).href);
      const shoot = (what, more = {}) => page.screenshot({ path: join(out, `${name}-${what}-${view}.png`), ...more });
      await page.evaluate(async () => {
        // Open pictures are as high as what they show, so that a whole page has all of it.
        for (const details of document.querySelectorAll('main > section > details')) details.setAttribute('open', '');
      });
      const chosen = page.locator('.canvas .node', { hasText: 'linear' });
      if ((await page.locator('[data-picture]').count()) > 0) {
        if ((await chosen.count()) === 0) await page.locator('.map button').nth(2).click();
        if ((await chosen.count()) > 0) await chosen.first().click();
      }
      await shoot('page', { fullPage: true });
      await check(page, `${name}, ${view}`);
      if (view === 'phone') continue;
      for (const [part, button] of [
        ['graph', page.locator('[data-picture] [data-enlarge]')],
        ['plot', page.locator('.chart [data-enlarge]')],
      ]) {
        if ((await button.count()) === 0) continue;
        await button.first().click();
        await page.waitForFunction(() => document.fullscreenElement !== null);
        await shoot(`full-${part}`);
        await page.keyboard.press('Escape');
        await page.evaluate(() => document.fullscreenElement && document.exitFullscreen());
        await page.waitForFunction(() => document.fullscreenElement === null);
      }
    }
    console.log(`${target}: ${Object.keys(VIEWS).join(', ')}`);
  }
} finally {
  await browser.close();
}

/** Whether all of a page fits its window, and all of a plot its place. */
async function check(page, what) {
  const found = await page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    cut: [...document.querySelectorAll('.chart .scroll:has(svg)')].filter((box) => box.scrollWidth > box.clientWidth)
      .length,
    outside: [...document.querySelectorAll('.chart svg text')]
      .filter((text) => {
        const [a, b] = [text.getBoundingClientRect(), text.closest('svg').getBoundingClientRect()];
        return a.width > 0 && (a.left < b.left - 1 || a.right > b.right + 1 || a.bottom > b.bottom + 1);
      })
      .map((text) => text.textContent),
    covered: [...document.querySelectorAll('.chart svg')].flatMap((svg) => {
      // Turned labels lie beside each other, their boxes do not.
      const texts = [...svg.querySelectorAll('text:not([transform*="rotate(-32"])')].map((text) => [
        text.textContent,
        text.getBoundingClientRect(),
      ]);
      // Boxes of letters have some empty pixels at each side.
      const meet = (a, b) =>
        a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
      return texts.flatMap(([text, box], i) =>
        texts.slice(i + 1).flatMap(([other, otherBox]) => (meet(box, otherBox) ? [`${text} and ${other}`] : [])),
      );
    }),
  }));
  assert.deepEqual(found, { overflow: 0, cut: 0, outside: [], covered: [] }, what);
}
