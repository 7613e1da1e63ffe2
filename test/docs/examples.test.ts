import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { OpDef } from '../../src/ir/op.ts';
import { type Pass, runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { lintFile } from '../../src/lint/lint-file.ts';
import { graphOf } from '../core.ts';
import { pages } from './pages.ts';

// In the project, so that TypeScript finds its settings and packages.
mkdirSync('.tmp', { recursive: true });
const folder = mkdtempSync(resolve('.tmp/docs-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every TypeScript block of the pages: what its first line names as its file, else page and number, by its text. */
const examples = new Map<string, string>();
for (const page of pages) {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```ts\n([\s\S]+?)```/g)];
  for (const [i, [, text = '']] of blocks.entries()) {
    examples.set(/^\/\/ (\S+\.ts)\n/.exec(text)?.[1] ?? `${basename(page, '.md')}-${i}.ts`, text);
  }
}

/** Where an example lies for these tests. */
const fileOf = (name: string) => join(folder, basename(name));

for (const [name, text] of examples) {
  const imports = text.replace(/(?<=from ')(mbert|\.[^']+)(?=')/g, (from) =>
    relative(folder, from === 'mbert' ? 'src/index.ts' : resolve(dirname(name), from)),
  );
  writeFileSync(fileOf(name), imports);
}

test('every example of the pages compiles', () => {
  expect([...examples.keys()]).toContain('src/passes/double-negation.ts');
  const config = { extends: '../../tsconfig.json', include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const { stdout } = spawnSync(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});

/** What an example exports; the test before this has checked its types. */
const exportsOf = async <Exports>(name: string): Promise<Exports> => import(fileOf(name));

test('the pass of the page takes two negations away, but not where a zero broadcasts', async () => {
  const { doubleNegation } = await exportsOf<{ doubleNegation: Pass }>('double-negation.ts');
  const graph = graphOf(`graph g (x: f32[4])
  once = sub(zero f32[] {0}, x)
  twice = sub(zero, once)
  row = sub(nought f32[1, 1] {0}, twice)
  back = sub(zero, row)
return y: back`);
  const [report] = await runPasses(graph, [doubleNegation]);
  expect(report).toMatchObject({ rewrites: 1, declined: ['back: its zero has more axes than x'] });
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph g (x: f32[4])
      row = sub(nought f32[1, 1] {0}, x)  f32[1, 4]
      back = sub(zero f32[] {0}, row)  f32[1, 4]
    return y: back"
  `);
});

test('the op of the page turns an axis around, and refuses one that is not there', async () => {
  const { reverse } = await exportsOf<{ reverse: OpDef<readonly ['x'], { axis: number }> }>('reverse.ts');
  const x = tensorOf('f32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
  const turned = (axis: number) => readF32(reverse.evaluate?.({ x }, { axis }, {}) as Tensor);
  expect(turned(1)).toEqual(Float32Array.of(3, 2, 1, 6, 5, 4));
  expect(turned(0)).toEqual(Float32Array.of(4, 5, 6, 1, 2, 3));
  expect(reverse.infer({ x: { dtype: 'f32', shape: ['batch', 3] } }, reverse.attrs)).toEqual({
    dtype: 'f32',
    shape: ['batch', 3],
  });
  expect(() => reverse.infer({ x }, { axis: 2 })).toThrow('reverse along axis 2 of [2, 3]');
});

test('the library is called as README says', async () => {
  cpSync('fixtures/bert-seqcls', join(folder, 'mobilebert-sst2'), { recursive: true });
  const home = process.cwd();
  process.chdir(folder);
  try {
    await import(fileOf('README-0.ts'));
  } finally {
    process.chdir(home);
  }
  expect(lintFile(join(folder, 'model.tflite'))).toMatchObject({ format: 'tflite', ok: true });
});
