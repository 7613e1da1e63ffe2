import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Target } from '../../passes/index.ts';
import type { QuantizeOptions } from './types.ts';

/** Throws USAGE for options that contradict each other. `format` is undefined where both formats are written. */
export function refuseContradictions(options: QuantizeOptions, format: Target | undefined): void {
  const { scheme, calibrate } = options;
  const isCalibrated = scheme === 'int8' || scheme === 'int16x8';
  if (isCalibrated && calibrate === undefined) {
    throw new MbertError('USAGE', `--scheme ${scheme}: needs --calibrate FILE`, {
      hint: 'a hundred lines of text as the model will see it; --scheme dynamic needs none',
    });
  }
  refuseUncalibrated(options);
  refuseRefit(options);
  if (calibrate === undefined && options.data === undefined) refuseWithoutTexts(options);
  if (options.dumpRecipe !== undefined && format === undefined) {
    throw new MbertError('USAGE', `--dump-recipe: is for one file, ${options.output} gets two`);
  }
  if (options.dryRun && options.dumpRecipe !== undefined) {
    throw new MbertError('USAGE', '--dry-run: writes nothing, and --dump-recipe a file');
  }
  if (options.dryRun && options.dumpPasses !== undefined) {
    throw new MbertError('USAGE', '--dry-run: writes nothing, and --dump-passes a folder');
  }
  if (options.io === 'int8' && (format !== 'tflite' || !isCalibrated)) {
    throw new MbertError('USAGE', '--io int8: is for .tflite files of --scheme int8 or int16x8');
  }
  if (scheme === 'f16') refuseForHalves(options);
}

/** Throws USAGE for options of texts, where there are none. */
function refuseWithoutTexts({ maxDrop, samples, seed, allowOverlap }: QuantizeOptions): void {
  const hint = 'give --data FILE or --calibrate FILE';
  if (maxDrop !== undefined) throw new MbertError('USAGE', '--max-drop: needs samples to measure on', { hint });
  for (const [flag, given] of Object.entries({ samples, seed, 'allow-overlap': allowOverlap || undefined })) {
    if (given !== undefined)
      throw new MbertError('USAGE', `--${flag}: says which texts are read, and there are none`, { hint });
  }
}

/** Throws USAGE for fitted linears of a scheme that has none, and for a second way to change their biases. */
function refuseRefit({ scheme, refit, biasCorrection }: QuantizeOptions): void {
  if (!refit) return;
  if (scheme !== 'w4') throw new MbertError('USAGE', '--refit: is for --scheme w4');
  if (biasCorrection)
    throw new MbertError('USAGE', '--refit: fits biases as well', { hint: 'leave --bias-correction out' });
}

/** Throws USAGE for rounding, bias correction and fitted linears that need samples, where there are none. */
function refuseUncalibrated({ scheme, rounding, biasCorrection, refit, calibrate }: QuantizeOptions): void {
  for (const [flag, isGiven] of [
    ['rounding gptq', rounding === 'gptq'],
    ['bias-correction', biasCorrection === true],
    ['refit', refit === true],
  ] as const) {
    if (!isGiven) continue;
    if (scheme === 'f16') throw new MbertError('USAGE', `--${flag}: f16 has no integers`);
    if (calibrate !== undefined) continue;
    throw new MbertError('USAGE', `--${flag}: needs --calibrate FILE`, {
      hint: 'two hundred lines of text as the model will see it: some to learn from, some to check on',
    });
  }
}

/** Throws USAGE for options of integers that f16 has no use for. */
function refuseForHalves({ recipe, dumpRecipe, granularity }: QuantizeOptions): void {
  for (const [flag, given] of [
    ['recipe', recipe],
    ['dump-recipe', dumpRecipe],
  ] as const) {
    if (given !== undefined) throw new MbertError('USAGE', `--${flag}: f16 has no recipes`);
  }
  if (granularity !== undefined) throw new MbertError('USAGE', '--granularity: f16 has no scales');
}

/** Throws UNSUPPORTED for a source with integers in it. */
export function refuseQuantized(graph: Graph, source: string): void {
  const stored = graph.nodes().find((node) => node.type.quant || node.op === 'dynamicRound');
  if (!stored) return;
  throw new MbertError('UNSUPPORTED', `${source}: ${stored.name}: is quantized already`, {
    hint: 'quantize the float model that it was made of',
  });
}
