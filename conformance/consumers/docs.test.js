// The pages docs/run/web.md and docs/run/server.md, run as they stand: commands, programs, pages, and what they print.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBrowser } from './page.js';
import { at, HERE, mbert, ROOT, SST2, sourceOf } from './workspace.js';

const project = at('project');
let browser;
before(async () => {
  mkdirSync(project);
  symlinkSync(join(HERE, 'node_modules'), join(project, 'node_modules'));
  symlinkSync(sourceOf('all-MiniLM-L6-v2'), join(project, 'all-MiniLM-L6-v2'));
  const classifier = join(project, 'my-classifier');
  // As Trainer saves it: with tokenizer.json, which the fixture lacks.
  mbert(['convert', sourceOf('mobilebert-demo'), '-o', classifier, '--layout', 'transformers.js']);
  cpSync(join(sourceOf('mobilebert-demo'), 'model.safetensors'), join(classifier, 'model.safetensors'));
  cpSync(SST2.calibration, join(project, 'texts.txt'));
  // transformers.js brings an ONNX Runtime Web of its own; where another one is installed beside it, it lies inside.
  const own = join(HERE, 'node_modules/@huggingface/transformers');
  browser = await openBrowser([project, own]);
});
after(() => browser?.close());

/** The code blocks of a page, each with its language. */
function blocksOf(page) {
  const text = readFileSync(join(ROOT, 'docs/run', page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({ language, code }));
}

/** Runs a program or opens a page, and returns what it says. */
const RUN = {
  js: (name) => execFileSync('node', [name], { cwd: project, encoding: 'utf8' }),
  python: (name) => execFileSync(process.env.PYTHON ?? 'python3', [name], { cwd: project, encoding: 'utf8' }),
  async html(name, expected) {
    const { page, outside, failed } = await browser.page(`/${name}`);
    const lines = expected.split('\n').length;
    const said = page.waitForFunction((count) => answer.textContent.split('\n').length >= count, lines);
    await Promise.race([said, failed]);
    const text = await page.evaluate(() => answer.textContent);
    await page.close();
    assert.deepEqual(outside, []);
    return text;
  },
};

for (const page of ['server.md', 'web.md']) {
  describe(`docs/run/${page}`, () => {
    const blocks = blocksOf(page);
    for (const [i, { language, code }] of blocks.entries()) {
      if (language === '') {
        for (const [command, words] of [...code.matchAll(/^npx mbert (.*)$/gm)])
          test(command, () => void mbert(words.split(' '), project));
      } else if (RUN[language]) {
        const [, name] = /^(?:#|\/\/|<!--) (\S+)/.exec(code);
        test(`${name} prints what the page says`, async () => {
          const { language: next, code: expected } = blocks[i + 1];
          assert.equal(next, 'text');
          writeFileSync(join(project, name), code);
          assert.equal((await RUN[language](name, expected)).trim(), expected.trim());
        });
      }
    }
  });
}
