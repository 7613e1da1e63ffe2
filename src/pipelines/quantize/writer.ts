import { needsOf } from '../../exporters/onnx/needs.ts';
import type { OutputFile } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { constantBytes } from '../../ir/text.ts';
import { unobserved, within } from '../../options/run.ts';
import { hasWeight, type SettingsMap } from '../../quantization/settings.ts';
import { compareFiles, compareLayers, type Proof, type ProofOptions } from '../evaluate/compare-files.ts';
import { dropFailure, isAllowed } from '../evaluate/drop.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { fitProperties } from '../fit/change-function.ts';
import { exportGraph } from '../write/export-graph.ts';
import { type Prepared, prepare } from '../write/prepare.ts';
import { twinShape } from '../write/twin.ts';
import { totalSize, type WrittenFile, writeModel } from '../write/write-model.ts';
import { fitting, narrowed } from './choose-bits.ts';
import { chooseRefit } from './choose-refit.ts';
import { build, type DecideOptions, type Decision, switchOptionsOf, withKept } from './decision.ts';
import { rivalWarnings } from './dynamic-rival.ts';
import { manifestOf, type QuantizeJob } from './job.ts';
import { type ParetoFront, type ScanResult, scanEverySite } from './scan.ts';
import type { QuantizedFile } from './types.ts';

/**
 * Most lines of a calibration file that prove a TFLite file of 16-bit activations: LiteRT's reference kernels take a second
 * and more for each.
 */
const SLOW_PROOF = 32;

/** Writes files that are thrown away afterwards, and returns the model's path. */
type Scratch = (files: AsyncIterable<OutputFile>) => Promise<string>;

/** Metadata of a file about its integers, as JSON. */
type Manifest = { readonly [key: string]: unknown };

/** A quantized graph beside the float one that it was made of, in the shapes that can be run here. */
interface Pair {
  readonly float: Graph;
  readonly quantized: Graph;
  /** True where the quantized graph is the one in the written file. */
  readonly isWritten: boolean;
}

/** A written file with the decision that it was made of. */
export interface WrittenDecision {
  readonly file: QuantizedFile;
  readonly decision: Decision;
}

/** Writes a quantized model and compares it with the float one, as often as a gate asks for more precision. */
export class Writer {
  readonly #job: QuantizeJob;
  readonly #prepared: Prepared;
  readonly #scratch: Scratch;
  #floatPath: string | undefined;
  #twin: Graph | undefined;

  constructor(job: QuantizeJob, prepared: Prepared, scratch: Scratch) {
    this.#job = job;
    this.#prepared = prepared;
    this.#scratch = scratch;
  }

  /** Writes a model with f16 weights. */
  async writeHalves(): Promise<QuantizedFile> {
    const { graph: written } = this.#prepared;
    this.#job.run.enter('write');
    const { stopwatch } = this.#job.run;
    const file = await stopwatch.time('writingMs', () => this.#write(written, 'f16', manifestOf(this.#job)));
    this.#job.run.enter('prove');
    if (!this.#isProvable(file))
      return this.#result(file, undefined, { form: 'f16', linears: { f16: countLinears(written) } });
    const proof = await stopwatch.time('proofMs', async () => {
      const graph = await this.#runnableFloat(written);
      return this.#prove({ float: graph, quantized: graph, isWritten: graph === written }, file, 'f16');
    });
    return this.#result(file, proof, { form: 'f16', linears: { f16: countLinears(written) } });
  }

  /** Writes the file of a decision or, where a gate asks for it, of one with more precision. */
  async writeDecision(decision: Decision, options: DecideOptions): Promise<WrittenDecision> {
    const { file: first, decision: sized } = await this.#fitted(
      await this.#attempt(decision, options),
      decision,
      options,
    );
    if (sized !== decision) return { file: first, decision: sized };
    const { evidence, quantization } = this.#job.request;
    const { maxDrop } = evidence;
    const isMet = maxDrop === undefined || isAllowed(first.proof?.drop ?? 0, maxDrop);
    const isSearchable = options.form.plan(decision.graph, decision.settings, options.request).integer.size > 0;
    if (isMet || quantization.scan === false || !isSearchable) return { file: first, decision };
    return this.#search(decision, options, first, maxDrop);
  }

  /** Takes 8 bits away again from as many linears as the file is too large by, and writes it anew. */
  async #fitted(file: QuantizedFile, decision: Decision, options: DecideOptions): Promise<WrittenDecision> {
    const { maxSize } = this.#job.request;
    const { widened } = decision;
    if (maxSize === undefined || widened.length === 0 || totalSize(file.files) <= maxSize) return { file, decision };
    const added = widened.reduce((sum, site) => sum + site.addedBytes, 0);
    const narrow = narrowed(decision, fitting(widened, added - (totalSize(file.files) - maxSize)));
    const plan = options.form.plan(narrow.graph, narrow.settings, options.request);
    const fewer = { ...narrow, ...(await chooseRefit(plan, narrow, options)) };
    return { file: await this.#attempt(fewer, options), decision: fewer };
  }

  /** Writes the file of one decision and compares it with the float model. */
  async #attempt(decision: Decision, options: DecideOptions): Promise<QuantizedFile> {
    const { request, form } = options;
    const { settings } = decision;
    const { run } = this.#job;
    const usual = request.isDynamic ? 'dynamic' : request.scheme;
    const kept = namesOf(settings, ({ scheme }) => scheme !== usual);
    run.enter('write');
    run.progress('quantizing weights');
    const built = await run.stopwatch.time('writingMs', () => build(decision, options));
    const needs = this.#job.profile.operators === 'onnxruntime' ? needsOf(built) : undefined;
    const manifest = {
      ...manifestOf(this.#job),
      ...(needs && { needs }),
      form: form.name,
      range: request.range,
      ...(decision.rounding && { rounding: decision.rounding.used }),
      ...(decision.biasCorrection && { biasCorrection: decision.biasCorrection.used }),
      ...(decision.refit && { refit: decision.refit.used }),
      ...(kept.length > 0 && { kept }),
    };
    const written = await run.stopwatch.time('writingMs', () => this.#write(built, 'f32', manifest));
    run.enter('prove');
    const { proof, warnings = [] } = this.#isProvable(written)
      ? await run.stopwatch.time('proofMs', async () => {
          const pair = await this.#runnable(decision, options, built);
          const found = await this.#prove(pair, written, 'f32');
          return { proof: found, warnings: await this.#rivalWarnings(pair, written, options) };
        })
      : {};
    const { scan, rounding, biasCorrection, refit } = decision;
    return this.#result(written, proof, {
      form: form.name,
      linears: linearsOf(settings),
      ...(scan && scan.sites.length > 0 && { scan: { ...withoutNodes(scan), keptAs: options.fallback } }),
      rounding,
      biasCorrection,
      refit,
      needs,
      widened: decision.widened.map(({ node, noise, addedBytes }) => ({
        name: node.name,
        sqnrDb: -10 * Math.log10(noise),
        addedBytes,
      })),
      warnings: [...decision.warnings, ...decision.refitWarnings, ...warnings],
    });
  }

  /**
   * Keeps more and more linears in higher precision, those first that take away most noise for their bytes, until the
   * gate is met.
   */
  async #search(
    decision: Decision,
    options: DecideOptions,
    first: QuantizedFile,
    maxDrop: number,
  ): Promise<WrittenDecision> {
    const { graph, settings, statistics } = decision;
    const plan = options.form.plan(graph, settings, options.request);
    const isFloat = options.fallback === 'float';
    this.#job.run.enter('choose');
    const front = await this.#job.run.stopwatch.time('scanMs', () =>
      scanEverySite(
        switchOptionsOf(plan, decision, options),
        statistics,
        // An i8 weight is a quarter of its f32.
        ({ floatBytes }) => (isFloat ? 0.75 * floatBytes : 0),
        within(options.run, 'scanning every linear'),
      ),
    );
    const keeping = (kept: number): Decision => ({
      ...decision,
      settings: withKept(settings, front.order.slice(0, kept), options),
    });
    const dropOf = ({ proof }: QuantizedFile) => proof?.drop ?? 0;
    let best = { file: first, kept: 0 };
    let last = 0;
    for (const { kept } of promising(front, first, maxDrop, this.#job.request.maxSize)) {
      const file = await this.#attempt(keeping(kept), options);
      last = kept;
      if (dropOf(file) < dropOf(best.file)) best = { file, kept };
      if (isAllowed(dropOf(file), maxDrop)) break;
    }
    if (last !== best.kept) best = { ...best, file: await this.#attempt(keeping(best.kept), options) };
    const pareto = front.rows.map((row) => ({ ...row, chosen: row.kept === best.kept }));
    return { file: { ...best.file, pareto }, decision: best.kept === 0 ? decision : keeping(best.kept) };
  }

  /** Writes the model file; `f16` stores all weights as halves, `f32` leaves floats to the user's options. */
  async #write(graph: Graph, dtype: 'f32' | 'f16', manifest: Manifest): Promise<WrittenFile> {
    const { model, plan, request, fit, run } = this.#job;
    const { writing, quantization } = request;
    const properties = {
      ...fitProperties(fit),
      'mbert.dtype': quantization.scheme,
      'mbert.quantization': JSON.stringify(manifest),
    };
    const stored = dtype === 'f16' ? { ...writing, dtype } : writing;
    return writeModel(model, this.#prepared, { plan, writing: stored, properties, run, graph });
  }

  /**
   * The graphs in shapes and types that the runtime here takes, of fixed length and with float outputs, by the same
   * decisions.
   */
  async #runnable(decision: Decision, options: DecideOptions, quantized: Graph): Promise<Pair> {
    const { graph: written } = decision;
    const float = await this.#runnableFloat(written);
    const hasIntegerOutputs = this.#job.plan.target === 'tflite' && options.request.integerOutputs;
    if (float === written && !hasIntegerOutputs) return { float, quantized, isWritten: true };
    const request = { ...options.request, integerOutputs: false };
    return { float, quantized: await build(decision, { ...options, request }, float), isWritten: false };
  }

  /** The float graph, or a twin of fixed shapes with the same names where the runtime here takes no others. */
  async #runnableFloat(graph: Graph): Promise<Graph> {
    const { model, plan, request, calibration, run } = this.#job;
    const shape = twinShape(graph, plan.target, model);
    if (shape === undefined) return graph;
    const { passes, writing } = request;
    const options = { shape, passes, writing, run: unobserved(run), statistics: calibration.replay() };
    this.#twin ??= (await prepare(model, plan.target, options)).graph;
    return this.#twin;
  }

  /** Whether there is a file and text to compare it on. One that is too large is a no already. */
  #isProvable({ dryRun, files }: WrittenFile): boolean {
    const { request, samples } = this.#job;
    return samples.proof.length > 0 && !dryRun && totalSize(files) <= (request.maxSize ?? Number.POSITIVE_INFINITY);
  }

  /** The proof samples, or a few of them where each takes long and the user has not named them. */
  get #proofRows(): SampleSets['proof'] {
    const { plan, request, samples } = this.#job;
    const isSlow = plan.target === 'tflite' && request.quantization.scheme === 'int16x8';
    return isSlow && request.evidence.data === undefined ? samples.proof.slice(0, SLOW_PROOF) : samples.proof;
  }

  /** Compares the quantized with the float model on the proof samples; undefined where there are none. */
  async #prove(pair: Pair, written: WrittenFile, dtype: 'f32' | 'f16'): Promise<Proof | undefined> {
    const { plan, samples, feeds, run } = this.#job;
    if (samples.proof.length === 0) return undefined;
    run.progress(`loading into ${plan.target === 'onnx' ? 'ONNX Runtime' : 'LiteRT'}`);
    this.#floatPath ??= await this.#temporary(pair.float, 'f32');
    const [file] = written.files;
    const quantizedPath = pair.isWritten ? (file?.path as string) : await this.#temporary(pair.quantized, dtype);
    const runtime = plan.target === 'onnx' ? 'ONNX Runtime' : 'LiteRT';
    const proofOptions: ProofOptions = {
      ...feeds,
      rows: this.#proofRows,
      labels: samples.labels,
      progress: within(run, `comparing in ${runtime}`),
    };
    const compared = await compareFiles(this.#floatPath, quantizedPath, pair.float, proofOptions);
    if (dtype === 'f16') return { ...compared, layers: [] };
    run.progress('comparing layers');
    const layers = { ...pair, write: (graph: Graph) => this.#temporary(graph, 'f32') };
    return { ...compared, layers: await compareLayers(layers, proofOptions) };
  }

  /** Compares a static TFLite file with one of dynamic linears, which accelerators that compute on integers cannot run. */
  async #rivalWarnings({ float, quantized, isWritten }: Pair, { files }: WrittenFile, options: DecideOptions) {
    const { plan, profile } = this.#job;
    const { scheme, isDynamic, integerOutputs } = options.request;
    if (scheme !== 'int8' || plan.target !== 'tflite' || profile.isStrict || isDynamic || integerOutputs) return [];
    const write = (graph: Graph) => this.#temporary(graph, 'f32');
    const path = isWritten ? (files[0]?.path as string) : await write(quantized);
    return rivalWarnings({ path, floatPath: this.#floatPath as string, float, write }, options);
  }

  /**
   * Writes a file to run. It may have other outputs than the model: labels would not fit, and nobody reads the
   * vocabulary.
   */
  #temporary(graph: Graph, dtype: 'f32' | 'f16'): Promise<string> {
    const { model, plan, request } = this.#job;
    const { target } = plan;
    const bare = { ...model, labels: undefined, tokenizer: {} };
    const writing = { ...request.writing, dtype, labels: undefined, tokenizer: undefined };
    return this.#scratch(exportGraph(bare, graph, { target, name: `model.${target}`, writing }));
  }

  #result(
    written: WrittenFile,
    proof: Proof | undefined,
    more: Pick<QuantizedFile, 'form' | 'linears'> & Partial<QuantizedFile>,
  ): QuantizedFile {
    const { request, samples, run } = this.#job;
    const { evidence, maxSize, quantization } = request;
    const { maxDrop } = evidence;
    const size = totalSize(written.files);
    const lost = maxDrop === undefined || proof === undefined ? undefined : dropFailure(proof, maxDrop);
    const failures: string[] = lost === undefined ? [] : [lost];
    if (maxSize !== undefined && size > maxSize) {
      const compared = samples.proof.length > 0 && proof === undefined ? ', and was not compared' : '';
      failures.push(`--max-size ${maxSize}: the file has ${size} bytes${compared}`);
    }
    return {
      ...written,
      scheme: quantization.scheme,
      floatBytes: constantBytes(this.#prepared.graph),
      scan: undefined,
      rounding: undefined,
      biasCorrection: undefined,
      refit: undefined,
      pareto: undefined,
      needs: undefined,
      widened: [],
      proof,
      times: run.stopwatch.times(),
      failures,
      ...more,
      warnings: [...samples.warnings, ...(more.warnings ?? [])],
    };
  }
}

function withoutNodes({ sites, togetherDb, restDb }: ScanResult): Omit<ScanResult, 'keep'> {
  return { sites, togetherDb, restDb };
}

/**
 * The rows of a front to try: those that fit the size, from the first that did well enough on the validation samples.
 */
function promising({ rows }: ParetoFront, first: QuantizedFile, maxDrop: number, maxSize: number | undefined) {
  const size = totalSize(first.files);
  const fitting = rows.filter(
    ({ kept, addedBytes }) => kept > 0 && (maxSize === undefined || size + addedBytes <= maxSize),
  );
  const from = fitting.findIndex(({ agreement }) => isAllowed(100 * (1 - agreement), maxDrop));
  return from < 0 ? fitting.slice(-1) : fitting.slice(from);
}

function namesOf(settings: SettingsMap, isWanted: (settings: { readonly scheme: string }) => boolean): string[] {
  return [...settings].filter(([node, each]) => hasWeight(node) && isWanted(each)).map(([node]) => node.name);
}

function linearsOf(settings: SettingsMap): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [node, { scheme }] of settings) if (hasWeight(node)) counts[scheme] = (counts[scheme] ?? 0) + 1;
  return counts;
}

function countLinears(graph: Graph): number {
  return graph.nodes().filter(hasWeight).length;
}
