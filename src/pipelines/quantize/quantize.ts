import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { openSource } from '../../importers/index.ts';
import { decodeText } from '../../io/bytes.ts';
import type { Graph } from '../../ir/graph.ts';
import { lintFile } from '../../lint/lint-file.ts';
import type { RuleFinding } from '../../lint/rule.ts';
import { classReader } from '../../opened/class-labels.ts';
import { openModel, targetOf } from '../../opened/open-model.ts';
import { defaultLength, type OpenedModel } from '../../opened/opened-model.ts';
import { outlineOf } from '../../opened/outline.ts';
import type { Target } from '../../passes/index.ts';
import { parseRecipe, recipeText } from '../../quantization/recipe.ts';
import type { NodeScheme, Scheme } from '../../quantization/settings.ts';
import { formFor, granularityFor, type TargetProfile, targetNamed } from '../../quantization/targets.ts';
import { prepare, readWhole, refuseMisplaced, refuseUnused, withChangingPasses } from '../convert/convert.ts';
import { withFolder } from '../evaluate/loaded-model.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { NO_SAMPLES, type SampleSets, takeSamples } from '../evaluate/sample-sets.ts';
import { Stopwatch } from '../evaluate/stopwatch.ts';
import type { FitReport } from '../fit/types.ts';
import { CalibrationRuns } from './calibration-runs.ts';
import { decide } from './decide.ts';
import type { DecideOptions, Decision } from './decision.ts';
import type { QuantizedFile, QuantizeOptions, QuantizeResult } from './types.ts';
import { Writer } from './writer.ts';

export type { QuantizedFile, QuantizeOptions, QuantizeResult };

const DEFAULT_SAMPLES = 128;

/**
 * What makes a float graph fit for integers, besides the default passes; `--passes=-name` takes one out. Where all values
 * are integers, linears of one input stay apart: joined ones would share a scale, which costs up to ten bits where their
 * ranges differ and ends XNNPACK's partition at the sum that reads the small one. (The 24-layer model: 6 partitions
 * joined, 1 apart, and 5 % faster.)
 */
function passesFor(format: Target, { scheme, passes = '' }: QuantizeOptions): string {
  const isIntegerGraph = format === 'tflite' && (scheme === 'int8' || scheme === 'int16x8');
  return `equalize-streams,centre-norms,${isIntegerGraph ? '-fuse-bottleneck,' : ''}${passes}`;
}

/** Quantizes a source to TFLite, ONNX or both, and measures what that costs. Throws MbertError; a failure leaves no file. */
export async function quantize(options: QuantizeOptions): Promise<QuantizeResult> {
  const format = targetOf(options.output);
  refuseMisplaced(options, format);
  refuseContradictions(options, format);
  refuseUnused(options, format);
  options.progress?.('reading');
  const opened = await openModel(options.source, options);
  try {
    const plans =
      format === undefined
        ? (['tflite', 'onnx'] as const).map((each) => ({ format: each, path: join(options.output, `model.${each}`) }))
        : [{ format, path: options.output }];
    const targets = plans.map(({ format: each }) => each);
    const { model, report: fit } = await withChangingPasses(opened, targets, options);
    const left = fit ? { ...options, maxDrop: dropLeft(options.maxDrop, fit) } : options;
    const results: QuantizedFile[] = [];
    for (const plan of plans) {
      const written = withLint(await quantizeTo({ model, fit }, plan.format, plan.path, left));
      results.push(options.outline ? await withOutline(written) : written);
    }
    const { architecture, task, unused } = model;
    const warnings = [...model.warnings, ...(fit?.warnings ?? []), ...dropWarnings(options.maxDrop, fit)];
    return { source: options.source, architecture, task, results, warnings, unused, ...(fit && { fit }) };
  } finally {
    opened.close();
  }
}

/** What --max-drop leaves for integers: losses of one step after the other add up. Where nothing is left the answer is no already. */
function dropLeft(maxDrop: number | undefined, { heldOut, failures }: FitReport): number | undefined {
  return maxDrop === undefined || failures.length > 0 ? undefined : maxDrop - (heldOut?.drop ?? 0);
}

function dropWarnings(maxDrop: number | undefined, fit: FitReport | undefined): string[] {
  const left = fit && dropLeft(maxDrop, fit);
  if (left === undefined || left === maxDrop) return [];
  return [`--max-drop ${maxDrop}: ${left.toFixed(2)} points are left for quantization`];
}

/** Reads the written file back: a picture is to show what is in it, not what was meant. */
async function withOutline(result: QuantizedFile): Promise<QuantizedFile> {
  const [file] = result.files;
  const source = file && (await openSource(file.path));
  if (source?.yields !== 'graph') return result;
  try {
    return { ...result, outline: outlineOf(source.graph, { ranges: true }) };
  } finally {
    source.close();
  }
}

/** Asks the lint rules of a written file; what they find joins its warnings, an error makes the answer no. */
function withLint(result: QuantizedFile): QuantizedFile {
  const [file] = result.files;
  if (file === undefined) return result;
  const { findings } = lintFile(file.path);
  const worded = (severity: 'error' | 'warning') =>
    onePerRule(findings.filter((finding) => finding.severity === severity)).map(
      ({ rule, where, problem, more }) =>
        `${file.path}: ${where}: ${problem} (${rule}${more > 0 ? `, and ${more} more` : ''})`,
    );
  return {
    ...result,
    warnings: [...result.warnings, ...worded('warning')],
    failures: [...result.failures, ...worded('error')],
  };
}

/** A form that one linear has, all linears have: the first of them is told, and how many more there are. */
function onePerRule(findings: readonly RuleFinding[]): (RuleFinding & { readonly more: number })[] {
  const firsts = findings.filter(({ rule }, i) => findings.findIndex((other) => other.rule === rule) === i);
  return firsts.map((first) => ({ ...first, more: findings.filter(({ rule }) => rule === first.rule).length - 1 }));
}

function refuseContradictions(options: QuantizeOptions, format: Target | undefined): void {
  const isCalibrated = options.scheme === 'int8' || options.scheme === 'int16x8';
  if (isCalibrated && options.calibrate === undefined) {
    throw new MbertError('USAGE', `--scheme ${options.scheme}: needs --calibrate FILE`, {
      hint: 'a hundred lines of text as the model will see it; --scheme dynamic needs none',
    });
  }
  for (const [flag, isGiven] of [
    ['rounding gptq', options.rounding === 'gptq'],
    ['bias-correction', options.biasCorrection === true],
  ] as const) {
    if (!isGiven) continue;
    if (options.scheme === 'f16') throw new MbertError('USAGE', `--${flag}: f16 has no integers`);
    if (options.calibrate !== undefined) continue;
    throw new MbertError('USAGE', `--${flag}: needs --calibrate FILE`, {
      hint: 'two hundred lines of text as the model will see it: some to learn from, some to check on',
    });
  }
  if (options.maxDrop !== undefined && options.calibrate === undefined && options.data === undefined) {
    throw new MbertError('USAGE', '--max-drop: needs samples to measure on', {
      hint: 'give --data FILE or --calibrate FILE',
    });
  }
  if (options.dumpRecipe !== undefined && format === undefined) {
    throw new MbertError('USAGE', `--dump-recipe: is for one file, ${options.output} gets two`);
  }
  if (options.io === 'int8' && (format !== 'tflite' || !isCalibrated)) {
    throw new MbertError('USAGE', '--io int8: is for .tflite files of --scheme int8 or int16x8');
  }
  for (const [flag, given] of [
    ['recipe', options.recipe],
    ['dump-recipe', options.dumpRecipe],
  ] as const) {
    if (given !== undefined && options.scheme === 'f16') throw new MbertError('USAGE', `--${flag}: f16 has no recipes`);
  }
  if (options.granularity !== undefined && options.scheme === 'f16') {
    throw new MbertError('USAGE', '--granularity: f16 has no scales');
  }
}

/** What is quantized, and what passes have done to its function before. */
interface Subject {
  readonly model: OpenedModel;
  readonly fit: FitReport | undefined;
}

/** What all steps of one file share. */
interface Job extends Subject {
  readonly format: Target;
  readonly options: QuantizeOptions;
  readonly profile: TargetProfile;
  readonly samples: SampleSets;
  readonly feeds: { readonly task: OpenedModel['task']; readonly pad: number; readonly mask: number | undefined };
  /** Statistics of the calibration samples, once more the same for a twin of the graph. */
  readonly calibration: CalibrationRuns;
  readonly stopwatch: Stopwatch;
}

async function quantizeTo(
  { model, fit }: Subject,
  format: Target,
  path: string,
  given: QuantizeOptions,
): Promise<QuantizedFile> {
  const profile = targetNamed(given.target ?? 'cpu', format);
  const options = given.scheme === 'f16' ? given : { ...given, passes: passesFor(format, given) };
  const source = model.build(format, options);
  refuseQuantized(source, options.source);
  const stopwatch = new Stopwatch();
  const { samples, feeds } = await stopwatch.time('calibrationMs', () =>
    readSampleSets({ model, fit }, source, format, options),
  );
  const calibration = new CalibrationRuns(samples, feeds.pad, options);
  const job: Job = { model, fit, format, options, profile, samples, feeds, calibration, stopwatch };
  return withFolder(async (write) => {
    const prepared = await stopwatch.time('calibrationMs', () =>
      prepare(model, format, options, calibration.collector()),
    );
    const writer = new Writer({ ...job, path, write, prepared, manifest: manifestOf(job) });
    if (options.scheme === 'f16') return writer.writeHalves();
    const decideOptions = decideOptionsOf(job, options.scheme);
    const decision = await decide(prepared.graph, decideOptions);
    const dump = (made: Decision) => {
      if (options.dumpRecipe !== undefined) dumpRecipe(options.dumpRecipe, made);
    };
    // Before the model: a path that cannot be written leaves no file. A gate may then ask for other settings.
    dump(decision);
    const { file, decision: written } = await writer.writeDecision(decision, decideOptions);
    if (written !== decision) dump(written);
    if (!options.outline) return file;
    return { ...file, channels: calibration.channelRanges(), sourceOutline: outlineOf(source, { ranges: true }) };
  });
}

function readSampleSets({ model, fit }: Subject, graph: Graph, format: Target, options: QuantizeOptions) {
  const { calibrate, data, seed } = options;
  const { task, maxPositions } = model;
  if (calibrate === undefined && data === undefined) {
    return { samples: NO_SAMPLES, feeds: { task, pad: 0, mask: undefined } };
  }
  const length = options.sequenceLength ?? defaultLength(format, task, maxPositions);
  const vocab = options.vocab === undefined ? undefined : { what: options.vocab, bytes: readWhole(options.vocab) };
  const maxLength = length === 'dynamic' ? maxPositions : length;
  const reader = rowReader(model, graph, { maxLength, vocab, seed });
  const samples = takeSamples(reader, {
    calibrate,
    samples: options.samples ?? DEFAULT_SAMPLES,
    seed,
    data,
    allowOverlap: options.allowOverlap ?? false,
    isGated: options.maxDrop !== undefined,
    used: fit?.calibration?.count,
    classOf:
      task === 'sequence-classification'
        ? classReader(graph.outputs[0]?.node.type.shape.at(-1) as number, model.labels)
        : undefined,
  });
  return { samples, feeds: { task, pad: reader.tokenizer.pad, mask: reader.tokenizer.mask } };
}

function refuseQuantized(graph: Graph, source: string): void {
  const found = graph.nodes().find((node) => node.type.quant || node.op === 'dynamicRound');
  if (!found) return;
  throw new MbertError('UNSUPPORTED', `${source}: ${found.name}: is quantized already`, {
    hint: 'quantize the float model that it was made of',
  });
}

function decideOptionsOf(job: Job, scheme: Exclude<Scheme, 'f16'>): DecideOptions {
  const { format, options, profile, samples, calibration, stopwatch } = job;
  const { recipe } = options;
  const rules = recipe === undefined ? [] : parseRecipe(decodeText(readWhole(recipe), recipe), recipe);
  return {
    ...job.feeds,
    form: formFor(scheme, format, profile),
    request: {
      scheme,
      granularity: granularityFor(scheme, format, profile, options.granularity),
      rounding: options.rounding ?? (scheme === 'w4' && options.calibrate !== undefined ? 'gptq' : 'nearest'),
      range: options.range ?? 'minmax',
      integerOutputs: options.io === 'int8',
    },
    recipe: recipe === undefined ? undefined : { path: recipe, rules },
    keep: options.keep,
    samples,
    collect: (graph, requests) => calibration.collect(graph, requests),
    collectApart: calibration.apart(),
    biasCorrection: options.biasCorrection ?? false,
    isRoundingAsked: options.rounding === 'gptq' || rules.some(({ settings }) => settings.rounding === 'gptq'),
    fallback: fallbackFor(format, profile),
    scan: options.scan ?? true,
    stopwatch,
    progress: (step, done, total) => options.progress?.(step, done, total),
  };
}

/** In ONNX the range of each run is one for the whole tensor, and no better than a calibrated one where values stand out. */
function fallbackFor(format: Target, { isStrict }: TargetProfile): NodeScheme {
  if (isStrict) return 'float';
  return format === 'onnx' ? 'w8' : 'dynamic';
}

function dumpRecipe(path: string, { settings }: Decision): void {
  try {
    writeFileSync(path, recipeText(settings));
  } catch (cause) {
    throw new MbertError('USAGE', `${path}: cannot be written: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

/** What the file says of how it was made. */
function manifestOf({ options, profile, samples }: Job): { readonly [key: string]: unknown } {
  const { manifest, overlap } = samples;
  return {
    scheme: options.scheme,
    target: profile.name,
    ...(manifest && { calibration: manifest }),
    ...(overlap > 0 && { overlap }),
  };
}
