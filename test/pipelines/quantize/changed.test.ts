import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { temporaryFolder } from '../written.ts';

const SOURCE = 'fixtures/hf-qa';
const folder = temporaryFolder();
const output = join(folder, 'model.onnx');
let texts = '';

beforeAll(() => {
  texts = join(folder, 'texts.txt');
  const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n');
  writeFileSync(texts, lines.slice(0, 192).join('\n'));
});

/** The table of words split in two, which changes every answer a little. */
const NARROW = { source: SOURCE, output, passes: 'split-embedding', embeddingRank: 12, sequenceLength: 16 } as const;

function quantizeNarrow(options: Partial<QuantizeOptions>) {
  return quantize({ ...NARROW, scheme: 'f16', ...options });
}

describe('integers behind a pass that changes the function', () => {
  test('may lose what that has left', async () => {
    const { fit, results, warnings } = await quantizeNarrow({ data: texts, maxDrop: 90 });
    const drop = fit?.heldOut?.drop ?? 0;
    expect(drop).toBeGreaterThan(0);
    expect(fit?.failures).toEqual([]);
    expect(warnings).toContain(`--max-drop 90: ${(90 - drop).toFixed(2)} points are left for quantization`);
    expect(results[0]?.failures).toEqual([]);
  });

  test('may lose anything where that has lost too much already: the answer is no', async () => {
    const { fit, results, warnings } = await quantizeNarrow({ data: texts, maxDrop: 0 });
    expect(fit?.failures).toHaveLength(1);
    expect(results[0]?.failures).toEqual([]);
    expect(warnings.join()).not.toContain('points are left');
  });

  test('are proven on no text that the pass has seen', async () => {
    // Passes see 768 texts where nobody says how many, which is all of the file; integers 128 of them.
    const { fit, results } = await quantizeNarrow({ calibrate: texts });
    expect(fit?.calibration?.count).toBe(192);
    expect(results[0]?.proof).toBeUndefined();
    const apart = await quantizeNarrow({ calibrate: texts, samples: 100 });
    expect(apart.fit?.calibration?.count).toBe(100);
    expect(apart.results[0]?.proof?.samples).toBe(92 - 32);
  });
});

test('a graph that was changed is verified as it is now, not against its file', async () => {
  const source = join(folder, 'source.onnx');
  await convert({ source: SOURCE, output: source, sequenceLength: 16 });
  const { results } = await convert({ ...NARROW, source, embeddingRank: 2, verify: true });
  expect(results[0]?.verify).toMatchObject({ ok: true, against: 'fitted graph' });
});

test('words that come often are kept best where a table is split', async () => {
  const path = join(folder, 'often.txt');
  const rare = ['a film of wit', 'the movie is bad', 'great'];
  writeFileSync(path, [...Array<string>(150).fill('good good good good'), ...rare].join('\n'));
  const { fit } = await convert({ ...NARROW, embeddingRank: 1, calibrate: path, samples: 153 });
  const [{ relativeError, uniformError } = { relativeError: 1, uniformError: 0 }] = fit?.embeddings ?? [];
  expect(uniformError).toBeGreaterThan(0.5);
  expect(relativeError).toBeLessThan(0.5 * (uniformError ?? 0));
});

test('a changed model is timed beside the original, each in one file whatever is written', async () => {
  const { results } = await convert({ ...NARROW, verify: true, externalData: true });
  expect(results[0]?.files).toHaveLength(2);
  expect(results[0]?.verify).toMatchObject({ ok: true, against: 'fitted graph' });
  expect(results[0]?.speed).toMatchObject({ shape: [1, 16], rounds: 40 });
});
