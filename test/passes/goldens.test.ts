import { expect, test } from 'vitest';
import { passes } from '../../src/passes/index.ts';
import { after } from '../core.ts';
import { CLASSIFIER, CONSTANTS, DISTANCES, HEADS, MOBILEBERT_LAYER, QUANTIZED, TRIGRAM } from './sample-graphs.ts';

/** The sample on which a pass shows best what it does. */
const SAMPLES: { readonly [pass: string]: string } = {
  'fold-constants': CONSTANTS,
  'hoist-token-slice': CLASSIFIER,
  'put-sequence-first': HEADS,
  'repeat-mask': HEADS,
  'share-constants': CONSTANTS,
  'shift-distances': DISTANCES,
  'sign-integers': QUANTIZED,
  'trigram-to-convolution': TRIGRAM,
};

/** Passes that change the function are fitted to text, which a sample has none of: their own tests show them. */
const exact = passes.map(({ pass }) => pass).filter(({ keeps }) => keeps !== 'shapes');

test.each(exact.map((pass) => [pass.name, pass] as const))('%s', async (name, pass) => {
  await expect(await after(pass, SAMPLES[name] ?? MOBILEBERT_LAYER)).toMatchFileSnapshot(`golden/${name}.txt`);
});

test('the default passes, one after the other', async () => {
  const chosen = passes.filter(({ runs }) => runs === 'always').map(({ pass }) => pass);
  await expect(await after(chosen, MOBILEBERT_LAYER)).toMatchFileSnapshot('golden/default.txt');
});
