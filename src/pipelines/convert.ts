import { basename, dirname, join } from 'node:path';
import { MbertError } from '../errors.ts';
import { type OutputFile, openFile, writeFiles } from '../files.ts';
import type { Graph, Node } from '../graph.ts';
import type { Task } from '../models/index.ts';
import { type Pass, type PassReport, runPasses } from '../pass.ts';
import { fittedPasses, selectPasses, type Target } from '../passes/index.ts';
import type { Statistics, StatisticsRequest } from '../statistics.ts';
import { constantBytes } from '../text.ts';
import { VERSION } from '../version.ts';
import type { FitReport } from './fit-model.ts';
import { openModel, targetOf } from './model.ts';
import { defaultLength, type OpenedModel, type ShapeOptions } from './opened-model.ts';
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
  /** A file of texts, for passes that are fitted to text. */
  readonly calibrate?: string | undefined;
  /** How many of its texts, from the first one. Default 768. */
  readonly samples?: number | undefined;
  /** Shuffles the texts first. */
  readonly seed?: number | undefined;
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
  options.progress?.('reading');
  const opened = await openModel(options.source, options);
  try {
    const { model, report: fit } = await withFittedPasses(opened, target, options);
    const plans =
      target === undefined
        ? (['tflite', 'onnx'] as const).map((each) => ({ target: each, path: join(options.output, `model.${each}`) }))
        : [{ target, path: options.output }];
    const results: ConvertedFile[] = [];
    for (const plan of plans) results.push(await convertTo(model, plan.target, plan.path, options, fit));
    const { architecture, task, unused } = model;
    const warnings = [...model.warnings, ...(fit?.warnings ?? [])];
    return { source: options.source, architecture, task, results, warnings, unused, ...(fit && { fit }) };
  } finally {
    opened.close();
  }
}

/** Fits the model where a pass is asked for that needs it: it changes the function, so never by itself. */
async function withFittedPasses(
  model: OpenedModel,
  target: Target | undefined,
  options: ConvertOptions,
): Promise<{ readonly model: OpenedModel; readonly report?: FitReport }> {
  const asked = new Set<Pass>(selectPasses(options.passes, target ?? 'onnx'));
  const passes = fittedPasses.filter((pass) => asked.has(pass));
  if (passes.length === 0) return { model };
  const { calibrate, samples, seed, keep, vocab: path, progress } = options;
  const vocab = path === undefined ? undefined : { what: path, bytes: readWhole(path) };
  const { fitModel } = await import('./fit-model.ts');
  return fitModel(model, { passes, calibrate, samples, seed, keep, vocab, progress });
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

async function convertTo(
  model: OpenedModel,
  target: Target,
  path: string,
  options: ConvertOptions,
  fit: FitReport | undefined,
): Promise<ConvertedFile> {
  const { graph, reports, nodesBefore } = await prepare(model, target, options);
  const total = constantBytes(graph);
  const chunks = exportGraph(model, graph, target, basename(path), options, fit && { 'mbert.fit': fitManifest(fit) });
  const files = await writeFiles(
    dirname(path),
    withProgress(chunks, (done) => options.progress?.(`writing ${basename(path)}`, done, total)),
  );
  const verify = options.verify ? await verifyWritten(model, target, path, options) : undefined;
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
  };
}

/** What the file says of the text that it was fitted to. */
function fitManifest({ passes, calibration, heldOut }: FitReport): string {
  return JSON.stringify({ passes: passes.map(({ name, rewrites }) => ({ name, rewrites })), calibration, heldOut });
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
    const { minimumOpset, onnx } = await import('../exporters/onnx.ts');
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
  const { tflite } = await import('../exporters/tflite.ts');
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

async function verifyWritten(
  model: OpenedModel,
  target: Target,
  path: string,
  options: ConvertOptions,
): Promise<WrittenVerification> {
  options.progress?.('verifying');
  const shapes = {
    batch: options.batch ?? 1,
    sequenceLength: options.sequenceLength ?? defaultLength(target, model.task, model.maxPositions),
    choices: options.choices,
  };
  const isDynamic = Object.values(shapes).includes('dynamic');
  let written: string | Uint8Array = path;
  if (target === 'tflite' && isDynamic) {
    const fixed = {
      ...options,
      batch: shapes.batch === 'dynamic' ? 1 : shapes.batch,
      sequenceLength:
        shapes.sequenceLength === 'dynamic' ? Math.min(TWIN_LENGTH, model.maxPositions) : shapes.sequenceLength,
      choices: shapes.choices === 'dynamic' ? TWIN_CHOICES : shapes.choices,
    };
    const { graph } = await prepare(model, target, fixed);
    written = await collect(exportGraph(model, graph, target, basename(path), fixed));
  }
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
