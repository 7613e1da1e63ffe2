import { basename, dirname, join } from 'node:path';
import { listNames, MbertError } from '../../errors.ts';
import { type OutputFile, openFile, writeFiles } from '../../io/files.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type EmbeddingRank, type Pass, type PassReport, runPasses } from '../../ir/pass.ts';
import type { Statistics, StatisticsRequest } from '../../ir/statistics.ts';
import { constantBytes } from '../../ir/text.ts';
import type { Task } from '../../models/index.ts';
import { openModel, targetOf } from '../../opened/open-model.ts';
import { defaultLength, type OpenedModel, type ShapeOptions } from '../../opened/opened-model.ts';
import { changingPasses, selectPasses, type Target } from '../../passes/index.ts';
import { splitEmbedding } from '../../passes/split-embedding.ts';
import { VERSION } from '../../version.ts';
import type { SpeedResult } from '../evaluate/compare-speed.ts';
import type { FitReport } from '../fit/types.ts';
import type { WrittenVerification } from './verify-written.ts';

export interface ConvertOptions extends ShapeOptions {
  readonly source: string;
  /** A .tflite or .onnx file, or a folder that gets one of each. */
  readonly output: string;
  /** How weights are stored. Default f32. */
  readonly dtype?: 'f32' | 'f16' | undefined;
  /** Added to or taken from the default passes, as `selectPasses` reads it. */
  readonly passes?: string | undefined;
  /** Passes leave nodes alone whose name matches. */
  readonly keep?: RegExp | undefined;
  readonly mask?: 'faithful' | 'strict' | undefined;
  /** TFLite classification: probabilities in place of logits. */
  readonly softmax?: boolean | undefined;
  /** ONNX only. Default 17. */
  readonly opset?: number | undefined;
  /** TFLite only: the oldest TensorFlow release that must load the file, as `2.14`. */
  readonly minRuntime?: string | undefined;
  /** Files that replace the model's own labels (one a line) and vocabulary. */
  readonly labels?: string | undefined;
  readonly vocab?: string | undefined;
  /** ONNX only: weights in a file beside the model. Default: only above 2 GiB. */
  readonly externalData?: boolean | undefined;
  /** A file of texts, for passes that change the function. */
  readonly calibrate?: string | undefined;
  /** How many of its texts, from the first one. Default 768. */
  readonly samples?: number | undefined;
  /** Shuffles the texts first. */
  readonly seed?: number | undefined;
  /** Held-out texts, with labels or without; default: what the calibration file has left. */
  readonly data?: string | undefined;
  readonly allowOverlap?: boolean | undefined;
  /** Percentage points of accuracy or agreement that passes which change the function may cost. */
  readonly maxDrop?: number | undefined;
  /** For the pass split-embedding. Default 128 columns. */
  readonly embeddingRank?: EmbeddingRank | undefined;
  /** Steps of training that follow passes which change the function. Default none. */
  readonly distill?: number | undefined;
  /** Told what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
  /** Runs source and result and compares them. */
  readonly verify?: boolean | undefined;
  /** Told what is being done, with the bytes written so far and in all. */
  readonly progress?: ((step: string, done?: number, total?: number) => void) | undefined;
}

/** One written model. */
export interface ConvertedFile {
  readonly target: Target;
  /** The model first, then external data if any. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly inputs: readonly { readonly name: string; readonly type: string }[];
  readonly outputs: readonly { readonly name: string; readonly type: string }[];
  /** Nodes before and after the passes, constants not counted. */
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  readonly passes: readonly {
    readonly name: string;
    readonly rewrites: number;
    readonly declined: readonly string[];
  }[];
  readonly verify?: WrittenVerification;
  /** Where passes have changed the function: the file beside one of the original, as `--verify` measures it. */
  readonly speed?: SpeedResult;
}

export interface ConvertResult {
  readonly source: string;
  readonly architecture: string;
  readonly task: Task | undefined;
  readonly results: readonly ConvertedFile[];
  readonly warnings: readonly string[];
  /** Weights of the source that the model does not use. */
  readonly unused: readonly string[];
  /** What passes that are fitted to text have changed, and what that costs. */
  readonly fit?: FitReport;
}

/** Converts a source to TFLite, ONNX or both. Throws MbertError; a failure leaves no file behind. */
export async function convert(options: ConvertOptions): Promise<ConvertResult> {
  const target = targetOf(options.output);
  refuseMisplaced(options, target);
  refuseWithoutChange(options, target);
  options.progress?.('reading');
  const opened = await openModel(options.source, options);
  try {
    const plans =
      target === undefined
        ? (['tflite', 'onnx'] as const).map((each) => ({ target: each, path: join(options.output, `model.${each}`) }))
        : [{ target, path: options.output }];
    const targets = plans.map(({ target: each }) => each);
    const { model, report: fit } = await withChangingPasses(opened, targets, options);
    const results: ConvertedFile[] = [];
    for (const plan of plans)
      results.push(await convertTo({ model, original: opened, fit }, plan.target, plan.path, options));
    const { architecture, task, unused } = model;
    const warnings = [...model.warnings, ...(fit?.warnings ?? [])];
    return { source: options.source, architecture, task, results, warnings, unused, ...(fit && { fit }) };
  } finally {
    opened.close();
  }
}

/** Changes the model where a pass is asked for that changes the function: never by itself, and once for all that is written. */
export async function withChangingPasses(
  model: OpenedModel,
  targets: readonly Target[],
  options: ConvertOptions,
): Promise<{ readonly model: OpenedModel; readonly report?: FitReport }> {
  const asked = new Set<Pass>(selectPasses(options.passes, targets[0] ?? 'onnx'));
  const passes = changingPasses.filter((pass) => asked.has(pass));
  if (passes.length === 0) return { model };
  const { calibrate, samples, seed, data, allowOverlap, maxDrop, embeddingRank, keep, vocab: path, progress } = options;
  const { distill } = options;
  const vocab = path === undefined ? undefined : { what: path, bytes: readWhole(path) };
  const { fitModel } = await import('../fit/fit-model.ts');
  const changed = await fitModel(model, {
    passes,
    targets,
    calibrate,
    samples,
    seed,
    data,
    allowOverlap,
    maxDrop,
    embeddingRank,
    distill,
    keep,
    vocab,
    progress,
  });
  options.changed?.(changed.report);
  return changed;
}

/** Flags that say something of passes which change the function, where none is asked for. */
function refuseWithoutChange(options: ConvertOptions, target: Target | undefined): void {
  const asked = new Set<Pass>(selectPasses(options.passes, target ?? 'onnx'));
  const names = changingPasses.map(({ name }) => name);
  const refuse = (flag: string, given: unknown, wanted: readonly Pass[]) => {
    if (given === undefined || given === false || wanted.some((pass) => asked.has(pass))) return;
    throw new MbertError('USAGE', `--${flag}: no pass is asked for that changes the function`, {
      hint: `name one with --passes: ${listNames(names)}; mbert quantize has a --${flag} of its own`,
    });
  };
  refuse('calibrate', options.calibrate, changingPasses);
  refuse('data', options.data, changingPasses);
  refuse('max-drop', options.maxDrop, changingPasses);
  refuseUnused(options, target);
}

/** Flags of passes that are not asked for. */
export function refuseUnused({ embeddingRank, distill, passes }: ConvertOptions, target: Target | undefined): void {
  const asked = selectPasses(passes, target ?? 'onnx');
  if (embeddingRank !== undefined && !asked.includes(splitEmbedding))
    throw new MbertError('USAGE', '--embedding-rank: is for --passes split-embedding');
  if (distill === undefined || changingPasses.some((pass) => asked.includes(pass))) return;
  throw new MbertError('USAGE', '--distill: no pass is asked for that changes the function', {
    hint: `name one with --passes: ${listNames(changingPasses.map(({ name }) => name))}`,
  });
}

export function refuseMisplaced(options: ConvertOptions, target: Target | undefined): void {
  const only = (flag: string, wanted: Target, given: unknown) => {
    if (given === undefined || given === false || target === undefined || target === wanted) return;
    throw new MbertError('USAGE', `--${flag}: is for ${wanted} files, the output is ${options.output}`);
  };
  only('softmax', 'tflite', options.softmax);
  only('min-runtime', 'tflite', options.minRuntime);
  only('opset', 'onnx', options.opset);
  only('external-data', 'onnx', options.externalData);
}

/** A model with what passes have done to its function, if any, and as it was before. */
interface Changed {
  readonly model: OpenedModel;
  readonly original: OpenedModel;
  readonly fit: FitReport | undefined;
}

async function convertTo(
  { model, original, fit }: Changed,
  target: Target,
  path: string,
  options: ConvertOptions,
): Promise<ConvertedFile> {
  const { graph, reports, nodesBefore } = await prepare(model, target, options);
  const total = constantBytes(graph);
  const chunks = exportGraph(model, graph, target, basename(path), options, fitProperties(fit));
  const files = await writeFiles(
    dirname(path),
    withProgress(chunks, (done) => options.progress?.(`writing ${basename(path)}`, done, total)),
  );
  const verify = options.verify ? await verifyWritten(model, target, path, options) : undefined;
  const speed = options.verify && fit ? await measureSpeed(original, model, target, path, options) : undefined;
  return {
    target,
    files,
    inputs: graph.inputs.map(({ name, type }) => ({ name, type: `${type.dtype}[${type.shape.join(', ')}]` })),
    outputs: graph.outputs.map(({ name, node }) => ({
      name,
      type: `${node.type.dtype}[${node.type.shape.join(', ')}]`,
    })),
    nodesBefore,
    nodesAfter: countCalls(graph),
    passes: reports,
    ...(verify && { verify }),
    ...(speed && { speed }),
  };
}

/** What a file says of what was changed in it, and to what text that was fitted. */
export function fitProperties(fit: FitReport | undefined): { readonly [key: string]: string } {
  if (fit === undefined) return {};
  const { passes, kept, embeddings, distillation, calibration, heldOut } = fit;
  const manifest = {
    passes: passes.map(({ name, rewrites }) => ({ name, rewrites })),
    ...(kept.length > 0 && { kept }),
    ...(embeddings.length > 0 && { embeddings }),
    ...(distillation && { distillation }),
    calibration,
    heldOut,
  };
  return { 'mbert.fit': JSON.stringify(manifest) };
}

export interface Prepared {
  readonly graph: Graph;
  readonly reports: ConvertedFile['passes'];
  readonly nodesBefore: number;
}

/**
 * The graph of a model as it will be written: built for the target, passes run, outputs in the target's order.
 * `statistics` answers passes that are calibrated.
 */
export async function prepare(
  model: OpenedModel,
  target: Target,
  options: ConvertOptions,
  statistics?: (graph: Graph, requests: readonly StatisticsRequest[]) => Promise<Statistics>,
): Promise<Prepared> {
  const graph = model.build(target, options);
  if (target === 'tflite') {
    // Task Library falls back to this order where a file has no names.
    if (model.task === 'qa') graph.orderOutputs(['end_logits', 'start_logits']);
    if (options.softmax) addSoftmax(graph, model.task);
  }
  const nodesBefore = countCalls(graph);
  const { keep } = options;
  const keeps = (node: Node) => keep?.test(node.name) ?? false;
  options.progress?.('running passes');
  const passes = selectPasses(options.passes, target).filter(({ name }) => !model.applied?.includes(name));
  const reports = await runPasses(graph, passes, {
    keeps,
    ...(statistics && { statistics: (requests: readonly StatisticsRequest[]) => statistics(graph, requests) }),
  });
  return { graph, nodesBefore, reports: reports.map(passSummary) };
}

function passSummary({ pass, rewrites, declined }: PassReport & { readonly pass: { readonly name: string } }) {
  return { name: pass.name, rewrites, declined };
}

export function countCalls(graph: Graph): number {
  return graph.nodes().filter(({ op }) => op !== 'input' && op !== 'constant').length;
}

/** MediaPipe and Task Library show what the model says: for them, scores must be probabilities already. */
function addSoftmax(graph: Graph, task: Task | undefined): void {
  if (task !== undefined && !task.endsWith('-classification')) {
    throw new MbertError('USAGE', `--softmax: is for classification, the task is ${task}`);
  }
  for (const { name, node } of [...graph.outputs]) {
    graph.replaceOutput(name, 'probability', graph.add('softmax', [node], { axis: -1 }, 'probability'));
  }
}

/** The files of a prepared graph, in chunks. Exporters are loaded when they are needed: each takes longer than a small conversion. */
export async function* exportGraph(
  model: OpenedModel,
  graph: Graph,
  target: Target,
  name: string,
  options: ConvertOptions,
  more: { readonly [key: string]: string } = {},
): AsyncIterable<OutputFile> {
  const dtype = options.dtype ?? 'f32';
  const properties = { ...propertiesOf(model, options), ...more };
  if (target === 'onnx') {
    const { opset, externalData } = options;
    const { minimumOpset, onnx } = await import('../../exporters/onnx.ts');
    yield* onnx.write(graph, {
      ...onnx.defaults,
      name,
      dtype,
      properties,
      producerVersion: VERSION,
      // 4-bit, 16-bit and blockwise types came late; an opset that the user names is kept to.
      opset: opset ?? Math.max(onnx.defaults.opset, minimumOpset(graph)),
      ...(externalData !== undefined && { externalData }),
    });
    return;
  }
  const vocab = options.vocab === undefined ? model.vocabulary : readWhole(options.vocab);
  const labels = labelsOf(model, options);
  const { tflite } = await import('../../exporters/tflite.ts');
  yield* tflite.write(graph, {
    ...tflite.defaults,
    name,
    dtype,
    ...(options.minRuntime !== undefined && { minRuntime: options.minRuntime }),
    metadata: { properties, ...(vocab && { vocab }), ...(labels && { labels }) },
  });
}

function labelsOf(model: OpenedModel, options: ConvertOptions): readonly string[] | undefined {
  if (options.labels === undefined) return model.labels;
  const lines = new TextDecoder().decode(readWhole(options.labels)).split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (model.labels && model.labels.length !== lines.length) {
    throw new MbertError(
      'MISMATCH',
      `${options.labels}: has ${lines.length} labels, the model has ${model.labels.length} classes`,
    );
  }
  return lines;
}

export function readWhole(path: string): Uint8Array {
  const file = openFile(path);
  try {
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

/** What the file says of itself: nothing that differs between two runs on the same input. */
function propertiesOf(model: OpenedModel, options: ConvertOptions): Record<string, string> {
  return {
    'mbert.version': VERSION,
    'mbert.architecture': model.architecture,
    ...(model.task && { 'mbert.task': model.task }),
    'mbert.dtype': options.dtype ?? 'f32',
    'mbert.lower_case': String(model.lowerCase),
    ...(model.labels && { 'mbert.labels': JSON.stringify(model.labels) }),
  };
}

export async function* withProgress(
  files: AsyncIterable<OutputFile>,
  report: (done: number) => void,
): AsyncIterable<OutputFile> {
  let done = 0;
  for await (const { name, chunks } of files) {
    yield {
      name,
      chunks: (async function* () {
        for await (const chunk of chunks) {
          yield chunk;
          done += chunk.byteLength;
          report(done);
        }
      })(),
    };
  }
}

/** A dynamic TFLite file is run through its fixed-length twin: LiteRT's WebAssembly build takes no dynamic shapes. */
const TWIN_LENGTH = 64;
const TWIN_CHOICES = 2;

/** Shapes for a twin of a file that LiteRT's WebAssembly build would not take; undefined where it takes the file. */
function fixedShapes(model: OpenedModel, target: Target, options: ConvertOptions): ShapeOptions | undefined {
  const { batch = 1, choices } = options;
  const sequenceLength = options.sequenceLength ?? defaultLength(target, model.task, model.maxPositions);
  if (target !== 'tflite' || ![batch, sequenceLength, choices].includes('dynamic')) return undefined;
  return {
    batch: batch === 'dynamic' ? 1 : batch,
    sequenceLength: sequenceLength === 'dynamic' ? Math.min(TWIN_LENGTH, model.maxPositions) : sequenceLength,
    choices: choices === 'dynamic' ? TWIN_CHOICES : choices,
  };
}

async function writeInMemory(
  model: OpenedModel,
  target: Target,
  path: string,
  options: ConvertOptions,
): Promise<Uint8Array> {
  const { graph } = await prepare(model, target, options);
  return collect(exportGraph(model, graph, target, basename(path), { ...options, externalData: false }));
}

/** The written file beside one of the original that differs in the changed function only. */
async function measureSpeed(
  original: OpenedModel,
  model: OpenedModel,
  target: Target,
  path: string,
  options: ConvertOptions,
): Promise<SpeedResult> {
  options.progress?.('timing');
  const without = changingPasses.map(({ name }) => `-${name}`);
  const shapes = fixedShapes(model, target, options);
  const plain = { ...options, ...shapes, passes: [options.passes ?? '', ...without].join() };
  const before = await writeInMemory(original, target, path, plain);
  const after = shapes ? await writeInMemory(model, target, path, { ...options, ...shapes }) : path;
  const { compareSpeed } = await import('../evaluate/compare-speed.ts');
  return compareSpeed(before, after, { reference: original.reference(), maxPositions: original.maxPositions });
}

async function verifyWritten(
  model: OpenedModel,
  target: Target,
  path: string,
  options: ConvertOptions,
): Promise<WrittenVerification> {
  options.progress?.('verifying');
  const fixed = fixedShapes(model, target, options);
  const written = fixed ? await writeInMemory(model, target, path, { ...options, ...fixed }) : path;
  const reference = model.reference();
  const softmax = options.softmax && target === 'tflite' ? 'probability' : undefined;
  if (softmax) addSoftmax(reference, model.task);
  const { verifyFile } = await import('./verify-written.ts');
  const source = softmax ? undefined : model.runnable;
  return verifyFile({
    source,
    reference,
    against: model.applied === undefined ? 'source' : 'fitted graph',
    written,
    name: path,
    dtype: options.dtype ?? 'f32',
    maxPositions: model.maxPositions,
  });
}

async function collect(files: AsyncIterable<OutputFile>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { chunks } of files) for await (const chunk of chunks) parts.push(chunk.slice());
  return Buffer.concat(parts);
}
