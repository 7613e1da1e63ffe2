import { expect, test } from 'vitest';
import type { Call } from '../../../src/ir/graph.ts';
import { CompensatedWeights } from '../../../src/pipelines/quantize/compensated-weights.ts';
import { integerGemms } from '../../../src/quantization/forms/integer-gemms.ts';
import { chooseQuants } from '../../../src/quantization/ranges.ts';
import type { Settings } from '../../../src/quantization/settings.ts';
import { chain, collectorOf, decideOptions, nodeOf } from './scripted.ts';

test('a weight is rounded again where its scales may not be as small as before', async () => {
  const graph = chain(1);
  const node = nodeOf(graph, 'l1') as Call;
  const request = { ...decideOptions().request, rounding: 'gptq' } as const;
  const settings = new Map<Call, Settings>([[node, { ...request, scheme: 'int8' }]]);
  const plan = integerGemms.plan(graph, settings, request);
  const { collect, asked } = collectorOf();
  const weights = new CompensatedWeights(collect);
  const seen = (max: number) => ({ rows: 1, min: 0, max, mean: 0, rms: 1 });
  // The smaller what a linear reads, the larger the scale that keeps its bias within 32 bits.
  for (const max of [1, 1, 1e-6]) await weights.prepare(plan, chooseQuants(plan, new Map([['first', seen(max)]])));
  expect(asked).toHaveLength(2);
  const options = { dtype: 'i8', granularity: 'channel' } as const;
  expect(() => weights.get(node, { ...options, leastScales: new Float64Array(16).fill(7) })).toThrow(
    'l1 was not prepared',
  );
  expect(() => weights.get(node, options)).toThrow('l1 was not prepared');
});
