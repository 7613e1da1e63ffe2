import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quantize } from '../../src/pipelines/quantize/quantize.ts';
import { quantizeText } from '../../src/reports/quantize.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

test('many notes of one pass are one line, unless each is asked for', async () => {
  const output = join(folder, 'm.onnx');
  const result = await quantize({ source: 'fixtures/hf-seqcls', output, scheme: 'f16' });
  const lines = (count: number, everyNote?: boolean) => {
    const notes = Array.from({ length: count }, (_, i) => `value ${i}`);
    const pass = { name: 'smooth', rewrites: count, declined: [], notes, summary: 'all in one' };
    const noted = { ...result, results: result.results.map((file) => ({ ...file, passes: [pass] })) };
    const text = quantizeText(noted, everyNote === undefined ? {} : { everyNote });
    return text.split('\n').filter((line) => line.startsWith('  smooth '));
  };
  expect(lines(13)).toEqual(['  smooth all in one (--verbose tells each, --report and --json do)']);
  expect(lines(12)).toHaveLength(12);
  expect(lines(13, true)).toHaveLength(13);
  expect(lines(13, true).at(-1)).toBe('  smooth value 12');
});
