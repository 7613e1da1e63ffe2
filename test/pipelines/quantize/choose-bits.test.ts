import { describe, expect, test } from 'vitest';
import { fitting } from '../../../src/pipelines/quantize/choose-bits.ts';
import { decide } from '../../../src/pipelines/quantize/decide.ts';
import type { DecideOptions, Decision } from '../../../src/pipelines/quantize/decision.ts';
import { weightsOnly } from '../../../src/quantization/forms/weights-only.ts';
import { parseRecipe } from '../../../src/quantization/recipe.ts';
import { blocksFor, targetNamed } from '../../../src/quantization/targets.ts';
import { chain, decideOptions, useScriptedErrors } from './scripted.ts';

/** 4 bits on a target, decided on a few rows. */
function options(target: string, more: Partial<DecideOptions> = {}): DecideOptions {
  const blocks = blocksFor('onnx', targetNamed(target, 'onnx'));
  const { request } = decideOptions();
  return decideOptions({
    form: weightsOnly,
    request: { ...request, scheme: 'w4', granularity: 'block', blocks },
    ...more,
  });
}

/** Answers of which each of l1, l2, l3 alone in 4 bits spoils so much. */
function errorsOf(...each: readonly number[]) {
  return useScriptedErrors(({ kind, on }) =>
    kind === 'switched' ? on.reduce((sum, group) => sum + (each[group - 1] ?? 0), 0) : 0,
  );
}

const schemes = ({ settings }: Decision) =>
  Object.fromEntries([...settings].map(([node, { scheme }]) => [node.name, scheme]));
const PACKED = { words: 'w4', l1: 'w4', l2: 'w4', l3: 'w4', head: 'float' };

describe('8 bits in place of 4', () => {
  test('are for linears that make more noise for their bytes than all of them do', async () => {
    // l1 has a quarter of the others' weights, so a quarter of l3's noise is as much for its bytes.
    errorsOf(0.2, 0.01, 0.3);
    const decision = await decide(chain(), options('ort'));
    expect(schemes(decision)).toEqual({ ...PACKED, l1: 'dynamic', l3: 'dynamic' });
    expect(decision.widened.map(({ node }) => node.name)).toEqual(['l1', 'l3']);
    errorsOf(0.05, 0.01, 0.3);
    expect(schemes(await decide(chain(), options('ort')))).toEqual({ ...PACKED, l3: 'dynamic' });
  });

  test('are for as many as a limit on the size lets in, those first that make most for their bytes', async () => {
    errorsOf(0.2, 0.1, 0.3);
    const all = await decide(chain(), options('ort', { maxSize: 1e9 }));
    expect(all.widened.map(({ node }) => node.name)).toEqual(['l1', 'l3', 'l2']);
    const none = await decide(chain(), options('ort', { maxSize: 100 }));
    expect(schemes(none)).toEqual(PACKED);
  });

  test('are for no linear of a recipe, none where --no-scan says so, and none without samples', async () => {
    const { loaded } = errorsOf(0.2, 0.01, 0.3);
    const rules = parseRecipe(JSON.stringify([{ match: 'l3', scheme: 'float' }]), 'r.json');
    const ruled = await decide(chain(), options('ort', { recipe: { path: 'r.json', rules } }));
    expect(schemes(ruled)['l3']).toBe('float');
    const before = loaded.length;
    const { samples } = options('ort');
    for (const more of [{ scan: false }, { samples: { ...samples, validation: [] } }]) {
      expect(schemes(await decide(chain(), options('ort', more)))).toEqual(PACKED);
    }
    expect(loaded.length).toBe(before);
  });

  test('are for no linear where the target has no kernel for blocks of 8 bits', async () => {
    const { loaded } = errorsOf(0.2, 0.01, 0.3);
    expect(schemes(await decide(chain(), options('cpu')))).toEqual({ ...PACKED, words: 'dynamic' });
    expect(loaded).toEqual([]);
  });
});

test('what does not fit lets smaller ones behind it in', () => {
  const [node] = chain().nodes();
  const sites = [30, 50, 20, 10].map((addedBytes) => ({
    node: node as never,
    packed: {} as never,
    noise: 1,
    addedBytes,
  }));
  expect(fitting(sites, 61).map(({ addedBytes }) => addedBytes)).toEqual([30, 20, 10]);
  expect(fitting(sites, -1)).toEqual([]);
});
