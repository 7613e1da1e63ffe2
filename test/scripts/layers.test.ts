import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { layerErrors } from '../../scripts/layers.js';
import { temporaryFolder } from '../pipelines/written.ts';

const root = temporaryFolder();

/** A folder of source files, by their paths in it. */
function treeOf(name: string, files: { readonly [path: string]: string }): string {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return join(root, name);
}

const LAYERS = [['errors.ts', 'reports/page/'], ['formats/', 'passes/'], ['reports/']];

test('a place imports from the lines above and its own files, and from packages', () => {
  const tree = treeOf('sound', {
    'errors.ts': "import { join } from 'node:path';\nexport const error = join('a', 'b');\n",
    'formats/json.ts': "import { error } from '../errors.ts';\nimport './table.ts';\nexport const json = error;\n",
    'formats/table.ts': 'export const table = 1;\n',
    'reports/page.ts': "export { json } from '../formats/json.ts';\n",
  });
  expect(layerErrors(tree, LAYERS)).toEqual([]);
});

test('an import that goes up or sideways is told with its file and line, whatever its form', () => {
  const tree = treeOf('broken', {
    'errors.ts': "/** import() is asynchronous. */\nexport const lazy = () => import('./formats/json.ts');\n",
    'formats/json.ts':
      "import type {\n  Fold,\n  Fuse,\n} from '../passes/fold.ts';\nexport type Json = Fold | Fuse;\n",
    'passes/fold.ts': "export type Fold = 1;\nexport type Fuse = 2;\nexport * from '../reports/text.ts';\n",
    'reports/page/draw.js': "import '../../errors.ts';\n",
    'reports/text.ts': "import { draw } from '../../elsewhere.ts';\n",
  });
  const rule = 'which is not above it in scripts/layers.js';
  expect(layerErrors(tree, LAYERS)).toEqual([
    `errors.ts:2: errors.ts may not import formats/json.ts, ${rule}`,
    `formats/json.ts:4: formats/ may not import passes/fold.ts, ${rule}`,
    `passes/fold.ts:3: passes/ may not import reports/text.ts, ${rule}`,
    `reports/page/draw.js:1: reports/page/ may not import errors.ts, ${rule}`,
    `reports/text.ts:1: reports/ may not import ../elsewhere.ts, ${rule}`,
  ]);
});

test('a file in a new folder needs a place', () => {
  const tree = treeOf('new', { 'training/adam.ts': 'export const adam = 1;\n' });
  expect(layerErrors(tree, LAYERS)).toEqual(['training/adam.ts: is in no place that scripts/layers.js lists']);
});

test('src keeps to the layers', () => {
  expect(layerErrors('src')).toEqual([]);
});

test('Biome, as it is set here, finds files that import each other’s types', () => {
  const tree = treeOf('circle', {
    'a.ts': "import type { B } from './b.ts';\n\nexport type A = B[];\n",
    'b.ts': "import type { A } from './a.ts';\n\nexport type B = A | 1;\n",
  });
  copyFileSync('biome.json', join(tree, 'biome.json'));
  const biome = resolve('node_modules/@biomejs/biome/bin/biome');
  const { status, stdout } = spawnSync(process.execPath, [biome, 'lint', '--reporter=github', '.'], {
    cwd: tree,
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stdout).toMatch(/noImportCycles,file=.*a\.ts,line=1,/);
  expect(stdout).toMatch(/noImportCycles,file=.*b\.ts,line=1,/);
});
