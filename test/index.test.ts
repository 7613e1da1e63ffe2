import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import * as mbert from '../src/index.ts';
import { temporaryFolder } from './pipelines/written.ts';

const folder = temporaryFolder();
const SOURCE = 'fixtures/hf-seqcls';
const file = join(folder, 'm.onnx');

beforeAll(async () => {
  await mbert.convert({ source: SOURCE, output: file });
});

describe('the library', () => {
  test('compares, and words what it found in every form', async () => {
    const diff = await mbert.diffModels({ a: SOURCE, b: file, outline: true });
    expect(mbert.diffText(diff, false)).toMatch(/\nsame$/);
    expect(mbert.diffMarkdown(diff, false)).toContain('same');
    expect(mbert.diffGithub(diff, new Set())).toBeTypeOf('string');
    expect(await mbert.pages.diff(diff)).toMatch(/^<!doctype html>/i);
  });

  test('words a result as the command does', async () => {
    const inspected = await mbert.inspect({ source: file });
    expect(mbert.inspectText(inspected)).toContain('written by mbert');
    expect(mbert.graphPage(inspected)).toContain('\ngraph ');
    const verified = await mbert.verify({ model: file, lint: true });
    expect(mbert.verifyResultText(verified)).toMatch(/\nok$/);
  });

  test.each<[string, (options: mbert.RunOptions) => Promise<unknown>]>([
    ['diffModels', (run) => mbert.diffModels({ a: SOURCE, b: file, ...run })],
    ['inspect', (run) => mbert.inspect({ source: file, ...run })],
    ['explainPass', (run) => mbert.explainPass({ source: file, pass: 'fuse-linear', ...run })],
    ['verify', (run) => mbert.verify({ model: file, against: SOURCE, ...run })],
    ['bench', (run) => mbert.bench({ models: [file], ...run })],
  ])('%s tells its steps, and ends at a signal', async (_, call) => {
    const steps: string[] = [];
    const controller = new AbortController();
    const progress: mbert.Progress = (step) => {
      steps.push(step);
      controller.abort(new Error('enough'));
    };
    await expect(call({ progress, signal: controller.signal })).rejects.toThrow('enough');
    expect(steps).toHaveLength(1);
  });
});
