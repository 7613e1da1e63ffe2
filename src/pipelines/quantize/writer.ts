import { basename, dirname } from 'node:path';
import { type OutputFile, writeFiles } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { isStatic } from '../../ir/shape.ts';
import { constantBytes } from '../../ir/text.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Target } from '../../passes/index.ts';
import { hasWeight, type SettingsMap } from '../../quantization/settings.ts';
import {
  type ConvertedFile,
  countCalls,
  exportGraph,
  fitProperties,
  type Prepared,
  prepare,
  withProgress,
} from '../convert/convert.ts';
import { compareFiles, compareLayers, type Proof, type ProofOptions } from '../evaluate/compare-files.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { Stopwatch } from '../evaluate/stopwatch.ts';
import type { FitReport } from '../fit/types.ts';
import type { Collect } from './calibration-runs.ts';
import { build, type DecideOptions, type Decision, trialOptions, withKept } from './decision.ts';
import { type ParetoFront, type ScanResult, scanEverySite } from './scan.ts';
import type { QuantizedFile, QuantizeOptions } from './types.ts';

export interface WriterOptions {
  readonly model: OpenedModel;
  readonly format: Target;
  readonly options: QuantizeOptions;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  readonly calibration: { replay(): Collect | undefined };
  readonly stopwatch: Stopwatch;
  /** The file to write. */
  readonly path: string;
  /** Writes what is thrown away afterwards. */
  readonly write: (files: AsyncIterable<OutputFile>) => Promise<string>;
  readonly prepared: Prepared;
  readonly manifest: { readonly [key: string]: unknown };
  /** What passes have done to the model's function before. */
  readonly fit: FitReport | undefined;
}

/** A quantized graph beside the float one that it was made of, in the shapes that can be run here. */
interface Pair {
  readonly float: Graph;
  readonly quantized: Graph;
  /** The quantized graph is the one in the written file. */
  readonly isWritten: boolean;
}

export interface WrittenDecision {
  readonly file: QuantizedFile;
  readonly decision: Decision;
}

/** A dynamic TFLite file is proven through its fixed-length twin: LiteRT's WebAssembly build takes no dynamic shapes. */
const TWIN_LENGTH = 64;
const TWIN_CHOICES = 2;

/** Writes a quantized model and proves it, as often as a gate asks for more precision. */
export class Writer {
  readonly #options: WriterOptions;
  #floatPath: string | undefined;
  #twin: Graph | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async writeHalves(): Promise<QuantizedFile> {
    const { prepared } = this.#options;
    const { stopwatch, manifest } = this.#options;
    const written = await stopwatch.time('writingMs', () => this.#write(prepared.graph, 'f16', manifest));
    const proof = await stopwatch.time('proofMs', async () => {
      const graph = this.#isTooDynamic(prepared.graph) ? await this.#fixedTwin(prepared.graph) : prepared.graph;
      return this.#prove({ float: graph, quantized: graph, isWritten: graph === prepared.graph }, written, 'f16');
    });
    return this.#result(written, proof, { form: 'f16', linears: { f16: countLinears(prepared.graph) } });
  }

  /** The file, and the decision that it was made of at last. */
  async writeDecision(decision: Decision, options: DecideOptions): Promise<WrittenDecision> {
    const first = await this.#attempt(decision, options);
    const { maxDrop, scan } = this.#options.options;
    const isMet = maxDrop === undefined || (first.proof?.drop ?? 0) <= maxDrop;
    const isSearchable = options.form.plan(decision.graph, decision.settings, options.request).integer.size > 0;
    if (isMet || scan === false || !isSearchable) return { file: first, decision };
    return this.#search(decision, options, first, maxDrop);
  }

  async #attempt(decision: Decision, options: DecideOptions): Promise<QuantizedFile> {
    const { request, form } = options;
    const { settings } = decision;
    const { stopwatch } = this.#options;
    const kept = namesOf(settings, ({ scheme }) => scheme !== request.scheme);
    const manifest = {
      ...this.#options.manifest,
      form: form.name,
      range: request.range,
      ...(decision.rounding && { rounding: decision.rounding.used }),
      ...(decision.biasCorrection && { biasCorrection: decision.biasCorrection.used }),
      ...(kept.length > 0 && { kept }),
    };
    const { graph, written } = await stopwatch.time('writingMs', async () => {
      const built = await build(decision, options);
      return { graph: built, written: await this.#write(built, 'f32', manifest) };
    });
    const hasProof = this.#options.samples.proof.length > 0;
    const proof = hasProof
      ? await stopwatch.time('proofMs', async () =>
          this.#prove(await this.#runnable(decision, options, graph), written, 'f32'),
        )
      : undefined;
    const { scan, rounding, biasCorrection } = decision;
    return this.#result(written, proof, {
      form: form.name,
      linears: linearsOf(settings),
      ...(scan && scan.sites.length > 0 && { scan: { ...withoutNodes(scan), keptAs: options.fallback } }),
      rounding,
      biasCorrection,
      warnings: decision.warnings,
    });
  }

  /** More and more linears in higher precision, those first that bring most for their bytes, until the gate is met. */
  async #search(
    decision: Decision,
    options: DecideOptions,
    first: QuantizedFile,
    maxDrop: number,
  ): Promise<WrittenDecision> {
    const { graph, settings, statistics } = decision;
    const plan = options.form.plan(graph, settings, options.request);
    const isFloat = options.fallback === 'float';
    const front = await this.#options.stopwatch.time('scanMs', () =>
      scanEverySite(
        trialOptions(plan, decision, options),
        statistics,
        // An i8 weight is a quarter of its f32.
        ({ floatBytes }) => (isFloat ? 0.75 * floatBytes : 0),
        (done, total) => options.progress('scanning every linear', done, total),
      ),
    );
    const keeping = (kept: number): Decision => ({
      ...decision,
      settings: withKept(settings, front.order.slice(0, kept), options),
    });
    const dropOf = ({ proof }: QuantizedFile) => proof?.drop ?? 0;
    let best = { file: first, kept: 0 };
    let last = 0;
    for (const { kept } of promising(front, first, maxDrop, this.#options.options.maxSize)) {
      const file = await this.#attempt(keeping(kept), options);
      last = kept;
      if (dropOf(file) < dropOf(best.file)) best = { file, kept };
      if (dropOf(file) <= maxDrop) break;
    }
    if (last !== best.kept) best = { ...best, file: await this.#attempt(keeping(best.kept), options) };
    const pareto = front.rows.map((row) => ({ ...row, chosen: row.kept === best.kept }));
    return { file: { ...best.file, pareto }, decision: best.kept === 0 ? decision : keeping(best.kept) };
  }

  async #write(
    graph: Graph,
    dtype: 'f32' | 'f16',
    manifest: { readonly [key: string]: unknown },
  ): Promise<ConvertedFile> {
    const { model, format, options, path, prepared, fit } = this.#options;
    const name = basename(path);
    const more = {
      ...fitProperties(fit),
      'mbert.dtype': options.scheme,
      'mbert.quantization': JSON.stringify(manifest),
    };
    const chunks = exportGraph(model, graph, format, name, { ...options, dtype: dtypeOf(dtype, options) }, more);
    const total = constantBytes(graph);
    const files = await writeFiles(
      dirname(path),
      withProgress(chunks, (done) => options.progress?.(`writing ${name}`, done, total)),
    );
    return {
      target: format,
      files,
      inputs: graph.inputs.map(({ name: input, type }) => ({
        name: input,
        type: `${type.dtype}[${type.shape.join(', ')}]`,
      })),
      outputs: graph.outputs.map(({ name: output, node }) => ({
        name: output,
        type: `${node.type.dtype}[${node.type.shape.join(', ')}]`,
      })),
      nodesBefore: prepared.nodesBefore,
      nodesAfter: countCalls(graph),
      passes: prepared.reports,
    };
  }

  /** The graphs as the runtime here takes them: of fixed length and with float outputs, by the same decisions. */
  async #runnable(decision: Decision, options: DecideOptions, quantized: Graph): Promise<Pair> {
    const float = decision.graph;
    const isDynamic = this.#isTooDynamic(float);
    const isMute = this.#options.format === 'tflite' && options.request.integerOutputs;
    if (!isDynamic && !isMute) return { float, quantized, isWritten: true };
    const twin = isDynamic ? await this.#fixedTwin(float) : float;
    const request = { ...options.request, integerOutputs: false };
    return { float: twin, quantized: await build(decision, { ...options, request }, twin), isWritten: false };
  }

  #isTooDynamic({ inputs }: Graph): boolean {
    return this.#options.format === 'tflite' && inputs.some(({ type }) => !isStatic(type.shape));
  }

  async #fixedTwin(float: Graph): Promise<Graph> {
    const { model, format, options: given, calibration } = this.#options;
    const shape = float.inputs[0]?.type.shape ?? [];
    const fixed = {
      ...given,
      batch: typeof shape[0] === 'number' ? shape[0] : 1,
      sequenceLength:
        typeof shape.at(-1) === 'number' ? given.sequenceLength : Math.min(TWIN_LENGTH, model.maxPositions),
      choices: typeof given.choices === 'number' ? given.choices : TWIN_CHOICES,
    };
    this.#twin ??= (await prepare(model, format, fixed, calibration.replay())).graph;
    return this.#twin;
  }

  async #prove(pair: Pair, written: ConvertedFile, dtype: 'f32' | 'f16'): Promise<Proof | undefined> {
    const { format, options, samples, feeds } = this.#options;
    if (samples.proof.length === 0) return undefined;
    this.#floatPath ??= await this.#temporary(pair.float, 'f32');
    const [file] = written.files;
    const quantizedPath = pair.isWritten ? (file?.path as string) : await this.#temporary(pair.quantized, dtype);
    const runtime = format === 'onnx' ? 'ONNX Runtime' : 'LiteRT';
    const proofOptions: ProofOptions = {
      ...feeds,
      rows: samples.proof,
      labels: samples.labels,
      progress: (done, total) => options.progress?.(`comparing in ${runtime}`, done, total),
    };
    const compared = await compareFiles(this.#floatPath, quantizedPath, pair.float, proofOptions);
    if (dtype === 'f16') return { ...compared, layers: [] };
    const layers = { ...pair, write: (graph: Graph) => this.#temporary(graph, 'f32') };
    return { ...compared, layers: await compareLayers(layers, proofOptions) };
  }

  /** A file to run. It may have other outputs than the model: labels would not fit, and nobody reads the vocabulary. */
  #temporary(graph: Graph, dtype: 'f32' | 'f16'): Promise<string> {
    const { model, format, options, write } = this.#options;
    const bare = { ...model, labels: undefined, vocabulary: undefined };
    const plain = { ...options, dtype, labels: undefined, vocab: undefined };
    return write(exportGraph(bare, graph, format, `model.${format}`, plain));
  }

  #result(
    written: ConvertedFile,
    proof: Proof | undefined,
    more: Pick<QuantizedFile, 'form' | 'linears'> & Partial<QuantizedFile>,
  ): QuantizedFile {
    const { options, samples, stopwatch } = this.#options;
    const { maxDrop, maxSize } = options;
    const size = written.files.reduce((sum, file) => sum + file.size, 0);
    const failures: string[] = [];
    if (maxDrop !== undefined && proof && proof.drop > maxDrop) {
      failures.push(
        `--max-drop ${maxDrop}: ${proof.accuracy ? 'accuracy' : 'agreement'} fell by ${proof.drop.toFixed(2)} points`,
      );
    }
    if (maxSize !== undefined && size > maxSize) failures.push(`--max-size ${maxSize}: the file has ${size} bytes`);
    return {
      ...written,
      scheme: options.scheme,
      floatBytes: constantBytes(this.#options.prepared.graph),
      scan: undefined,
      rounding: undefined,
      biasCorrection: undefined,
      pareto: undefined,
      proof,
      times: stopwatch.times(),
      failures,
      ...more,
      warnings: [...samples.warnings, ...(more.warnings ?? [])],
    };
  }
}

function withoutNodes({ sites, togetherDb, restDb }: ScanResult): Omit<ScanResult, 'keep'> {
  return { sites, togetherDb, restDb };
}

/** The float reference is f32 whatever the written file's floats are. */
function dtypeOf(dtype: 'f32' | 'f16', options: QuantizeOptions): 'f32' | 'f16' {
  return dtype === 'f16' ? 'f16' : (options.dtype ?? 'f32');
}

/** The rows of a front to try: what fits the size, from the first that did well enough on the trial samples. */
function promising({ rows }: ParetoFront, first: QuantizedFile, maxDrop: number, maxSize: number | undefined) {
  const size = first.files.reduce((sum, file) => sum + file.size, 0);
  const fitting = rows.filter(
    ({ kept, addedBytes }) => kept > 0 && (maxSize === undefined || size + addedBytes <= maxSize),
  );
  const from = fitting.findIndex(({ agreement }) => 100 * (1 - agreement) <= maxDrop);
  return from < 0 ? fitting.slice(-1) : fitting.slice(from);
}

function namesOf(settings: SettingsMap, wanted: (settings: { readonly scheme: string }) => boolean): string[] {
  return [...settings].filter(([node, each]) => hasWeight(node) && wanted(each)).map(([node]) => node.name);
}

function linearsOf(settings: SettingsMap): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [node, { scheme }] of settings) if (hasWeight(node)) counts[scheme] = (counts[scheme] ?? 0) + 1;
  return counts;
}

function countLinears(graph: Graph): number {
  return graph.nodes().filter(hasWeight).length;
}
