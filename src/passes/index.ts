import { MbertError, nearest } from '../errors.ts';
import type { Pass } from '../ir/pass.ts';
import { centreAttention } from './centre-attention.ts';
import { centreNorms } from './centre-norms.ts';
import { dropKeyBias } from './drop-key-bias.ts';
import { equalizeLinears, equalizeQueryKey, equalizeValueOutput } from './equalize-pairs.ts';
import { equalizeStreams } from './equalize-streams.ts';
import type { FittedPass } from './fit/fit.ts';
import { flattenTokens } from './flatten-tokens.ts';
import { foldAttentionScale } from './fold-attention-scale.ts';
import { foldConstants } from './fold-constants.ts';
import { foldNoNorm } from './fold-no-norm.ts';
import { fuseBottleneck } from './fuse-bottleneck.ts';
import { fuseLinear } from './fuse-linear.ts';
import { geluToRelu } from './gelu-to-relu.ts';
import { hoistTokenSlice } from './hoist-token-slice.ts';
import { layerNormToNoNorm } from './layer-norm-to-no-norm.ts';
import { moveValueBias } from './move-value-bias.ts';
import { prune } from './prune/prune.ts';
import { putSequenceFirst } from './put-sequence-first.ts';
import { repeatMask } from './repeat-mask.ts';
import { shareConstants } from './share-constants.ts';
import { shiftDistances } from './shift-distances.ts';
import { signIntegers } from './sign-integers.ts';
import { smoothActivations } from './smooth-activations.ts';
import { smoothTensors } from './smooth-tensors.ts';
import { smoothTokens } from './smooth-tokens.ts';
import { splitEmbedding } from './split-embedding.ts';
import { trigramToConvolution } from './trigram-to-convolution.ts';

/** The format that a graph is prepared for. */
export type Target = 'onnx' | 'tflite';

export interface PassEntry {
  readonly pass: Pass;
  /** When the pass runs: `always` and the name of a format (only on the way to it) unasked; `asked` only if named. */
  readonly runs: 'always' | Target | 'asked';
}

/** Every pass, in the order in which they run: biases and scales reach the linears before the norms fold into these. */
export const passes: readonly PassEntry[] = [
  { pass: foldConstants, runs: 'always' },
  { pass: shiftDistances, runs: 'always' },
  { pass: fuseLinear, runs: 'always' },
  { pass: splitEmbedding, runs: 'asked' },
  { pass: prune, runs: 'asked' },
  { pass: geluToRelu, runs: 'asked' },
  { pass: layerNormToNoNorm, runs: 'asked' },
  { pass: foldAttentionScale, runs: 'always' },
  { pass: moveValueBias, runs: 'always' },
  { pass: foldNoNorm, runs: 'always' },
  { pass: equalizeStreams, runs: 'asked' },
  { pass: centreNorms, runs: 'asked' },
  { pass: equalizeLinears, runs: 'asked' },
  { pass: equalizeValueOutput, runs: 'asked' },
  { pass: equalizeQueryKey, runs: 'asked' },
  { pass: smoothActivations, runs: 'asked' },
  { pass: smoothTokens, runs: 'asked' },
  { pass: smoothTensors, runs: 'asked' },
  { pass: dropKeyBias, runs: 'always' },
  { pass: centreAttention, runs: 'asked' },
  { pass: hoistTokenSlice, runs: 'always' },
  { pass: fuseBottleneck, runs: 'always' },
  { pass: trigramToConvolution, runs: 'tflite' },
  { pass: signIntegers, runs: 'tflite' },
  { pass: flattenTokens, runs: 'onnx' },
  { pass: putSequenceFirst, runs: 'asked' },
  { pass: repeatMask, runs: 'asked' },
  { pass: shareConstants, runs: 'always' },
];

/** Passes that change the model's function and are fitted to text for it, all of them in one sweep. */
export const fittedPasses: readonly FittedPass[] = [geluToRelu, layerNormToNoNorm];

/**
 * Passes that change the model's function: they run once for a model, whatever files are made of it, and what they cost
 * is measured.
 */
export const changingPasses: readonly Pass[] = [splitEmbedding, prune, ...fittedPasses];

/**
 * Selects the passes for a target as `--passes` asks: `a,b` adds to the default ones, `-a` takes one out, `none` starts
 * empty, undefined means the default ones; what follows a pass's name and `=` is for `operationShareIn`. They run in the table's order, whatever the order of the list. Throws USAGE
 * for an unknown name.
 */
export function selectPasses(list: string | undefined, target: Target): readonly Pass[] {
  const chosen = new Set(passes.filter(({ runs }) => runs === 'always' || runs === target).map(({ pass }) => pass));
  for (const word of (list ?? '').split(',').map((part) => part.trim())) {
    if (word === '') continue;
    if (word === 'none') chosen.clear();
    else if (word.startsWith('-')) chosen.delete(passNamed(word.slice(1)));
    else chosen.add(passNamed(word.split('=', 1)[0] as string));
  }
  return passes.map(({ pass }) => pass).filter((pass) => chosen.has(pass));
}

/**
 * Reads the share of operations that `prune=0.5` asks for; undefined without one. Throws USAGE for a share that is no
 * number between 0 and 1, and for a pass that takes none.
 */
export function operationShareIn(list: string): number | undefined {
  let share: number | undefined;
  for (const word of list.split(',').map((part) => part.trim())) {
    const [name = '', value] = word.split('=', 2);
    if (value === undefined) continue;
    if (name !== prune.name) throw new MbertError('USAGE', `--passes: ${name}: takes no value, as "${value}"`);
    share = Number(value);
    if (value.trim() === '' || !(share > 0 && share < 1)) {
      throw new MbertError('USAGE', `--passes: prune=${value}: is no share of operations`, {
        hint: 'a number between 0 and 1: prune=0.5 leaves half of them',
      });
    }
  }
  return share;
}

function passNamed(name: string): Pass {
  const entry = passes.find(({ pass }) => pass.name === name);
  if (entry) return entry.pass;
  const names = passes.map(({ pass }) => pass.name);
  const near = nearest(name, names);
  throw new MbertError('USAGE', `--passes: there is no pass "${name}"`, {
    hint: near ? `did you mean ${near}? mbert passes lists them all` : 'mbert passes lists them all',
  });
}
