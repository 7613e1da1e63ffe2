import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { geluToRelu } from '../../../src/passes/gelu-to-relu.ts';
import { layerNormToNoNorm } from '../../../src/passes/layer-norm-to-no-norm.ts';
import { type ConvertResult, convert } from '../../../src/pipelines/convert/convert.ts';
import { compareFiles } from '../../../src/pipelines/evaluate/compare-files.ts';
import { withFolder } from '../../../src/pipelines/evaluate/loaded-model.ts';
import { rowReader } from '../../../src/pipelines/evaluate/row-reader.ts';
import type { FitReport } from '../../../src/pipelines/fit/types.ts';

const DEMO = new URL('../../../fixtures/mobilebert-demo', import.meta.url).pathname;
/** Two layers of random weights, with LayerNorm and GELU. */
const SMALL = 'fixtures/hf-qa-layernorm-gelu';
const SENTENCES = join(DEMO, 'sst2-dev-200.tsv');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mbert-fit-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a converted model still answers like the original on sentences that it was not fitted to', async () => {
  const calibrate = join(DEMO, 'sst2-train-256.txt');
  const { fit, results } = await convertDemo({ calibrate, samples: 96 });
  expect(fit?.passes.map(({ name, rewrites }) => [name, rewrites])).toEqual([
    ['gelu-to-relu', 16],
    ['layer-norm-to-no-norm', 33],
  ]);
  expect(fit?.calibration).toMatchObject({ source: 'sst2-train-256.txt', count: 96 });
  expect(fit?.heldOut?.agreement).toBeGreaterThan(0.92);
  expect(fit?.heldOut?.sqnrDb).toBeGreaterThan(9);
  // Norms that were fitted are norms that fold away.
  expect(results[0]?.passes.find(({ name }) => name === 'fold-no-norm')?.rewrites).toBe(33);
  expect(readFileSync(join(folder, 'fitted.onnx')).includes('mbert.fit')).toBe(true);

  // The same conversion with gamma and beta copied: what the bounds above are worth.
  const copied = await agreementOf(withoutFitting);
  expect(copied.sqnrDb).toBeLessThan(4);
  expect(copied.agreement).toBeLessThan(0.88);
}, 240_000);

test('leaves nodes alone that --keep names, and verifies against what was fitted', async () => {
  const { fit, results } = await convertDemo({
    source: SMALL,
    verify: true,
    calibrate: SENTENCES,
    samples: 20,
    keep: /encoder/,
    passes: 'layer-norm-to-no-norm',
  });
  expect(fit?.passes.map(({ rewrites }) => rewrites)).toEqual([1]);
  expect(results[0]?.verify).toMatchObject({ ok: true, against: 'fitted graph' });
}, 240_000);

test('leaves activations alone that --keep names', async () => {
  const { fit } = await convertDemo({
    source: SMALL,
    calibrate: SENTENCES,
    samples: 20,
    keep: /layer\.0/,
    passes: 'gelu-to-relu',
  });
  expect(fit?.passes).toMatchObject([{ name: 'gelu-to-relu', rewrites: 4 }]);
  expect(fit?.refitted).toBeGreaterThan(0);
}, 240_000);

test('keeps the most sensitive norms and activations until the limit holds', async () => {
  const told: FitReport[] = [];
  const { fit, results } = await convertDemo({
    // Seven fits; of random weights, answers change easily.
    source: SMALL,
    calibrate: join(DEMO, 'sst2-train-256.txt'),
    samples: 60,
    maxDrop: 6,
    changed: (report) => told.push(report),
  });
  expect(told).toEqual([fit]);
  const rows = fit?.pareto ?? [];
  expect(rows.length).toBeGreaterThan(1);
  expect(rows[0]).toMatchObject({ kept: 0, norms: 0, activations: 0, chosen: false });
  expect(rows[0]?.heldOut.drop).toBeGreaterThan(6);
  for (const { kept, norms, activations } of rows) expect(norms + activations).toBe(kept);
  const chosen = rows.find((row) => row.chosen);
  expect(fit?.kept.length).toBe(chosen?.kept);
  expect(fit?.heldOut).toEqual(chosen?.heldOut);
  expect(chosen?.heldOut.drop).toBeLessThanOrEqual(6);
  expect(chosen?.speedup).toBeLessThan(rows[0]?.speedup as number);
  expect(fit?.failures).toEqual([]);
  // The file has what was chosen, and says so.
  const converted = fit?.passes.reduce((sum, { rewrites }) => sum + rewrites, 0) as number;
  expect(converted + (fit?.kept.length ?? 0)).toBe(17 + 8);
  expect(readFileSync(results[0]?.files[0]?.path as string).includes(fit?.kept[0] as string)).toBe(true);
}, 240_000);

test('asks for text', async () => {
  await expect(convertDemo({})).rejects.toMatchObject({ code: 'USAGE' });
});

test.each([layerNormToNoNorm, geluToRelu])('$name says what it needs where there is no text', async (pass) => {
  const model = await openModel(DEMO);
  const graph = model.reference();
  await expect(Promise.resolve().then(() => pass.run(graph, { keeps: () => false }))).rejects.toMatchObject({
    code: 'USAGE',
  });
  model.close();
});

function convertDemo(options: Partial<Parameters<typeof convert>[0]>): Promise<ConvertResult> {
  const passes = 'layer-norm-to-no-norm,gelu-to-relu';
  return convert({ source: DEMO, output: join(folder, 'fitted.onnx'), passes, ...options });
}

/** gamma and beta as they are, relu for gelu. */
function withoutFitting(graph: Graph): void {
  for (const node of graph.nodes()) {
    if (node.op === 'layerNorm') graph.replace(node, () => graph.add('noNorm', node.inputs, {}, node.name));
    if (node.op === 'gelu') graph.replace(node, () => graph.add('relu', node.inputs, {}, node.name));
  }
}

async function agreementOf(change: (graph: Graph) => void) {
  const model = await openModel(DEMO);
  try {
    const original = model.reference();
    const changed = copyGraph(original);
    change(changed);
    const reader = rowReader(model, original, { maxLength: 64 });
    const { rows } = reader.read(SENTENCES);
    const { pad, mask } = reader.tokenizer;
    return await withFolder(async (write) => {
      const paths = [
        await write(onnx.write(original, { ...onnx.defaults, name: 'model.onnx' })),
        await write(onnx.write(changed, { ...onnx.defaults, name: 'model.onnx' })),
      ] as const;
      const options = {
        task: model.task,
        pad,
        mask,
        rows: rows.slice(0, 100),
        labels: undefined,
        progress: () => undefined,
      };
      return compareFiles(paths[0], paths[1], original, options);
    });
  } finally {
    model.close();
  }
}
