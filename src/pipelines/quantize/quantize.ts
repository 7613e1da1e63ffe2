import { openSource } from '../../importers/index.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole, writeText } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { hasSmoothed } from '../../ir/smoothed.ts';
import { classReaderOf } from '../../opened/class-labels.ts';
import { fittedTexts } from '../../opened/fitted-texts.ts';
import { openModel } from '../../opened/open-model.ts';
import { outlineOf } from '../../opened/outline.ts';
import { type Evidence, evidenceOf } from '../../options/evidence.ts';
import { passChoice } from '../../options/passes.ts';
import { type Run, runFor, stageOf, startRun, timedApart } from '../../options/run.ts';
import { sizesFor } from '../../options/shape.ts';
import { writingOf } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { smoothTensors } from '../../passes/smooth-tensors.ts';
import { parseRecipe, recipeText } from '../../quantization/recipe.ts';
import type { NodeScheme, Scheme } from '../../quantization/settings.ts';
import { blocksFor, formFor, granularityFor, type TargetProfile, targetNamed } from '../../quantization/targets.ts';
import type { TokenSample } from '../../samples/open-samples.ts';
import { seenWarnings } from '../evaluate/fitted-texts.ts';
import { withFolder } from '../evaluate/loaded-model.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { NO_SAMPLES, takeSamples } from '../evaluate/sample-sets.ts';
import { changeFunction } from '../fit/change-function.ts';
import type { ChangedModel, FitReport } from '../fit/types.ts';
import { writtenResult } from '../fit/written-result.ts';
import { allOrNothing } from '../write/all-or-nothing.ts';
import { withGivenLabels } from '../write/given-labels.ts';
import { keepWarnings } from '../write/kept-nodes.ts';
import { logitsWarnings } from '../write/outputs.ts';
import { targetOf, type WritePlan, writePlans } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { refuseSource, replacedFiles } from '../write/replaced-files.ts';
import { vocabularyWarnings } from '../write/vocabulary.ts';
import { CalibrationRuns } from './calibration-runs.ts';
import { decide } from './decide.ts';
import type { DecideOptions, Decision } from './decision.ts';
import type { QuantizeJob, QuantizeRequest } from './job.ts';
import { withLint } from './lint-written.ts';
import { refuseContradictions, refuseQuantized } from './refusals.ts';
import { SharedWork } from './shared-work.ts';
import { FloatAnswers } from './switched-model.ts';
import type { QuantizedFile, QuantizeOptions, QuantizeResult } from './types.ts';
import { Writer } from './writer.ts';

export type { QuantizedFile, QuantizeOptions, QuantizeResult };

const DEFAULT_SAMPLES = 128;

/**
 * Quantizes a source to TFLite, ONNX or both, and measures what that costs. Throws MbertError: USAGE for options that
 * do not fit or texts that are missing, UNSUPPORTED for a source that is quantized already, and what the importers
 * throw. A failure leaves no file.
 */
export async function quantize(options: QuantizeOptions): Promise<QuantizeResult> {
  const format = targetOf(options.output);
  const request = requestOf(options, format);
  const plans = writePlans(options.output);
  const replaced = replacedFiles(plans, options);
  const run = startRun(options);
  run.plan(stagesOf(options, request, plans));
  for (const note of replaced) run.note(note);
  run.progress('reading');
  const source = await openModel(options.source, { ...options, observers: run.observers });
  try {
    refuseSource(plans);
    const { passes, writing } = request;
    const opened = withGivenLabels(source, writing);
    const targets = plans.map(({ target }) => target);
    const { tokenizer } = writing;
    const warnings = [...vocabularyWarnings(opened, tokenizer, targets), ...keepWarnings(opened, options)];
    run.enter('change');
    const changed = await changeFunction(opened, { passes, targets, evidence: options, tokenizer, run });
    const { fit } = changed;
    if (fit) options.changed?.(fit);
    const evidence = { ...request.evidence, maxDrop: fit ? dropLeft(options.maxDrop, fit) : options.maxDrop };
    const results = await allOrNothing(writing.dryRun ? [] : plans, async () => {
      const files: QuantizedFile[] = [];
      for (const plan of plans) {
        const fileRun = runFor(plan.target, targets, timedApart(run));
        const written = await quantizeTo(changed, plan, { ...request, evidence }, fileRun);
        // What follows reads the file.
        if (writing.dryRun) {
          files.push(written);
          continue;
        }
        const file = withLint(written);
        files.push(request.outline ? await withOutline(file) : file);
      }
      return files;
    });
    const result = writtenResult(options.source, changed, results, {
      run,
      warnings: [...warnings, ...logitsWarnings(changed.model, targets, writing)],
    });
    return { ...result, warnings: [...result.warnings, ...dropWarnings(options.maxDrop, fit)] };
  } finally {
    source.close();
  }
}

/** Stages of a call: what its progress counts. */
function stagesOf({ scheme }: QuantizeOptions, { passes, evidence }: QuantizeRequest, plans: readonly WritePlan[]) {
  const { calibrate } = evidence;
  const decided = scheme === 'f16' ? [] : [...(calibrate === undefined ? [] : ['calibrate']), 'choose'];
  const each = ['prepare', ...decided, 'write', ...(hasTexts(evidence) ? ['prove'] : [])];
  return [
    'read',
    ...(passes.changing.length > 0 ? ['change'] : []),
    ...plans.flatMap(({ target }) => each.map((stage) => stageOf(target, stage))),
  ];
}

/** The user's request with defaults filled in. Throws USAGE for options that contradict each other. */
export function requestOf(options: QuantizeOptions, format: Target | undefined): QuantizeRequest {
  const writing = writingOf(options, options.output, format);
  refuseContradictions(options, format);
  const { source, sequenceLength, batch, choices, dumpRecipe, maxSize, outline = false } = options;
  return {
    source,
    shape: { sequenceLength, batch, choices },
    passes: passChoice(options),
    writing,
    evidence: evidenceOf(options, DEFAULT_SAMPLES),
    quantization: options,
    dumpRecipe,
    maxSize,
    outline,
  };
}

/**
 * The part of --max-drop that is left for quantization, as the losses of successive steps add up; undefined without a
 * limit, or where it was passed already.
 */
export function dropLeft(maxDrop: number | undefined, { heldOut, failures }: FitReport): number | undefined {
  return maxDrop === undefined || failures.length > 0 ? undefined : maxDrop - (heldOut?.drop ?? 0);
}

function dropWarnings(maxDrop: number | undefined, fit: FitReport | undefined): string[] {
  const left = fit && dropLeft(maxDrop, fit);
  if (left === undefined || left === maxDrop) return [];
  return [`--max-drop ${maxDrop}: ${left.toFixed(2)} points are left for quantization`];
}

/**
 * Adds the outline of the written file, read back: a picture is to show what is in it, not what was meant. The values
 * are those that were to be quantized.
 */
async function withOutline({ distributions, ...result }: QuantizedFile): Promise<QuantizedFile> {
  const [file] = result.files;
  const source = file && (await openSource(file.path));
  if (source?.yields !== 'graph') return result;
  try {
    return { ...result, outline: outlineOf(source.graph, { values: true, onTexts: distributions }) };
  } finally {
    source.close();
  }
}

/** Quantizes for one file; what other files of the call need as well is made once and kept in `shared`. */
export async function quantizeTo(
  { model, fit }: ChangedModel,
  plan: WritePlan,
  request: QuantizeRequest,
  run: Run,
  shared = new SharedWork(),
): Promise<QuantizedFile> {
  const { target: format } = plan;
  const { shape, writing, quantization, outline, dumpRecipe } = request;
  const { scheme, target = 'cpu' } = quantization;
  run.enter('prepare');
  const profile = targetNamed(target, format);
  const passes = scheme === 'f16' ? request.passes : request.passes.before(passesFor(format, scheme, profile));
  const source = model.build(format, shape);
  refuseQuantized(source, request.source);
  const { samples, feeds } = await shared.samples(format, () =>
    run.stopwatch.time('calibrationMs', () => readSampleSets({ model, fit }, source, format, request, run.note)),
  );
  const { calibration, prepared } = await shared.prepared(format, passes, () =>
    run.stopwatch.time('calibrationMs', async () => {
      const runs = new CalibrationRuns(samples, feeds.pad, { shape, outline, run });
      const options = { shape, passes, writing, run, statistics: runs.collector() };
      return { calibration: runs, prepared: await prepare(model, format, options) };
    }),
  );
  const job: QuantizeJob = {
    request: { ...request, passes, writing: { ...request.writing, operators: profile.operators } },
    model,
    fit,
    plan,
    profile,
    samples,
    feeds,
    calibration,
    run,
  };
  return withFolder(async (scratch) => {
    const writer = new Writer(job, prepared, scratch);
    if (scheme === 'f16') return writer.writeHalves();
    if (hasUnseenChannels(job, prepared.graph)) run.note(`${prepared.graph.name}: ${UNSEEN_NOTE}`);
    const decideOptions = decideOptionsOf(job, scheme, hasSmoothed(prepared.graph));
    const decision = await decide(prepared.graph, decideOptions);
    // Written before the model: a path that cannot be written leaves no file. A gate may then ask for other settings.
    if (dumpRecipe !== undefined) writeRecipe(dumpRecipe, decision);
    const { file, decision: written } = await writer.writeDecision(decision, decideOptions);
    if (dumpRecipe !== undefined && written !== decision) writeRecipe(dumpRecipe, written);
    if (!outline) return file;
    const distributions = await calibration.distributions(decision.graph);
    return {
      ...file,
      distributions,
      channels: calibration.channelRanges(),
      sourceOutline: outlineOf(source, { values: true }),
    };
  });
}

/**
 * Passes that make a float graph fit for integers, besides the default ones; `--passes=-name` takes one out. Where all
 * values are integers, linears of one input stay apart: joined ones would share a scale, which costs up to ten bits
 * where their ranges differ and ends XNNPACK's partition at the sum that reads the small one. (The 24-layer model: 6
 * partitions joined, 1 apart, and 5 % faster.)
 */
function passesFor(format: Target, scheme: Scheme, profile: TargetProfile): string {
  const isIntegerGraph = format === 'tflite' && (scheme === 'int8' || scheme === 'int16x8');
  return [
    'equalize-streams,centre-norms',
    ...smoothingFor(format, scheme, profile),
    ...(format === 'onnx' && scheme !== 'int16x8' ? ['put-sequence-first', 'repeat-mask'] : []),
    ...(isIntegerGraph ? ['-fuse-bottleneck'] : []),
  ].join();
}

/**
 * The pass that makes loud channels smaller, by what is rounded with one range: a token where TFLite's and MatMulNBits'
 * dynamic linears read it, the whole value in other ONNX files. A calibrated range holds for all texts, so that there
 * tokens are divided by their peaks as well; one that is found at run time is as wide as its own text needs.
 */
function smoothingFor(format: Target, scheme: Scheme, { isStrict, blocks }: TargetProfile): string[] {
  // Products of floats are no use where nothing but integers is computed; 16 bits have steps enough for loud channels.
  if (isStrict || (scheme !== 'int8' && scheme !== 'dynamic')) return [];
  if (format === 'tflite') return ['smooth-tokens'];
  if (scheme === 'int8') return ['smooth-activations'];
  return [blocks.w8 === undefined ? 'smooth-tensors' : 'smooth-tokens'];
}

/** The note on a file that texts would make much nearer: all-MiniLM-L6-v2 has 28.4 dB with them, 17.5 without. */
const UNSEEN_NOTE =
  'has LayerNorm, which makes a few channels loud, and each value is rounded by one range: --calibrate FILE with some ' +
  'hundred lines of text brings it much nearer to the float model';

/** True where loud channels are likely, and a pass is to make them smaller that has no texts to find them by. */
function hasUnseenChannels({ request: { evidence, passes }, plan }: QuantizeJob, graph: Graph): boolean {
  return (
    evidence.calibrate === undefined &&
    passes.select(plan.target).includes(smoothTensors) &&
    graph.nodes().some(({ op }) => op === 'layerNorm')
  );
}

function readSampleSets(
  { model, fit }: ChangedModel,
  graph: Graph,
  format: Target,
  request: QuantizeRequest,
  note: Run['note'],
) {
  const { evidence, shape, writing } = request;
  const { task, logitsKind } = model;
  if (!hasTexts(evidence)) return { samples: NO_SAMPLES, feeds: { task, logitsKind, pad: model.pad, mask: undefined } };
  const { sequenceLength } = sizesFor(format, model, shape);
  const maxLength = sequenceLength === 'dynamic' ? model.maxPositions : sequenceLength;
  const { tokenizer } = writing;
  const { seed, columns } = evidence;
  const reader = rowReader(model, graph, { maxLength, tokenizer, seed, columns, note });
  const classOf = classReaderOf(model, graph);
  const samples = takeSamples(reader, { evidence, used: fit?.calibration?.count, task, classOf });
  const { calibrate, data = calibrate } = evidence;
  // A fit has told of its source already.
  const source = { path: model.path, fitted: fit ? [] : fittedTexts(model) };
  const proof = samples.proof.map((row): TokenSample => ({ row, label: undefined, texts: undefined }));
  const warnings = data === undefined || proof.length === 0 ? [] : seenWarnings(source, data, reader, proof);
  return {
    samples: { ...samples, warnings: [...samples.warnings, ...warnings] },
    feeds: { task, logitsKind, pad: reader.tokenizer.pad, mask: reader.tokenizer.mask },
  };
}

function hasTexts({ calibrate, data }: Evidence): boolean {
  return calibrate !== undefined || data !== undefined;
}

function decideOptionsOf(job: QuantizeJob, scheme: Exclude<Scheme, 'f16'>, isSmoothed: boolean): DecideOptions {
  const { request, plan, profile, samples, feeds, calibration, run } = job;
  const {
    granularity,
    rounding,
    range = 'minmax',
    io,
    recipe,
    scan = true,
    biasCorrection = false,
    refit = false,
  } = request.quantization;
  const { target: format } = plan;
  const rules = recipe === undefined ? [] : parseRecipe(decodeText(readWhole(recipe), recipe), recipe);
  // Where activations are exact, what 8 bits cost is the rounding of weights; where loud channels were smoothed, their
  // columns leave the others of their rows few steps.
  const isExact = scheme === 'w4' || scheme === 'int16x8' || (scheme === 'dynamic' && profile.blocks.w8 !== undefined);
  const isFitted = (isExact || isSmoothed) && request.evidence.calibrate !== undefined;
  return {
    form: formFor(scheme, format, profile),
    request: {
      scheme,
      granularity: granularityFor(scheme, format, profile, granularity),
      blocks: blocksFor(format, profile, samples.calibration.length > 0),
      rounding: rounding ?? (isFitted ? 'gptq' : 'nearest'),
      range,
      isDynamic: scheme === 'int8' && format === 'tflite' && !profile.isStrict && isSmoothed,
      integerOutputs: io === 'int8',
    },
    recipe: recipe === undefined ? undefined : { path: recipe, rules },
    keeps: request.passes.keeps,
    samples,
    feeds,
    floatAnswers: new FloatAnswers(),
    collect: (graph, requests) => calibration.collect(graph, requests),
    collectApart: calibration.apart(),
    collectUnseen: calibration.unseen(),
    biasCorrection,
    refits: refit,
    isRoundingAsked: rounding === 'gptq' || rules.some(({ settings }) => settings.rounding === 'gptq'),
    fallback: fallbackFor(format, profile),
    scan,
    maxSize: request.maxSize,
    run,
  };
}

/**
 * The scheme of linears that are kept in higher precision. In ONNX a dynamic range covers the whole tensor, and is no
 * better than a calibrated one where there are outliers.
 */
function fallbackFor(format: Target, { isStrict }: TargetProfile): NodeScheme {
  if (isStrict) return 'float';
  return format === 'onnx' ? 'w8' : 'dynamic';
}

function writeRecipe(path: string, { settings }: Decision): void {
  writeText(path, recipeText(settings));
}
