import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { loadModules } from '../../scripts/bundle.js';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

/** Hooks of Node's that print the address of each module that is loaded. */
const HOOKS = `import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  writeSync(2, url + '\\n');
  return next(url, context);
}`;

test('a conversion opens a few files of the package, not one for each module', () => {
  const hooks = join(folder, 'hooks.mjs');
  writeFileSync(hooks, HOOKS);
  const start = join(folder, 'start.mjs');
  writeFileSync(start, `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(hooks))});`);
  const argv = ['--import', pathToFileURL(start).href, 'bin/mbert.js', 'convert', 'fixtures/hf-qa', '-q'];
  const { status, stderr } = spawnSync(process.execPath, [...argv, '-o', join(folder, 'm.tflite')], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const opened = stderr.split('\n').filter((url) => url.includes('/dist/') && !url.includes('/node_modules/'));
  expect(opened.length).toBeGreaterThan(1);
  expect(opened.length).toBeLessThan(60);
});

test('what a module names by an address of its own is there for the bundle as well', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const named = files.flatMap((name) =>
    [...readFileSync(join('src', name), 'utf8').matchAll(/new URL\('([^']+)', import\.meta\.url\)/g)].map(
      ([, to]) => to,
    ),
  );
  expect(named).toContain('../');
  expect(named.filter((to) => !existsSync(join('dist', to as string)))).toEqual([]);
});

test('a page that the package writes has its scripts in it', () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['bin/mbert.js', 'inspect', 'fixtures/hf-qa', '--format', 'html'],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(stdout).toContain('table[data-sorts]');
});

test('modules that no entry exports are loaded by their paths, what they share once', async () => {
  const [errors, passes] = (await loadModules(['src/errors.ts', 'src/passes/index.ts'])) as [
    typeof import('../../src/errors.ts'),
    typeof import('../../src/passes/index.ts'),
  ];
  expect(() => passes.selectPasses('nonsense', 'onnx')).toThrow(errors.MbertError);
});
