import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type TokenInput, tokenInput } from '../../ir/names.ts';
import { realTensor } from '../../ir/quantized.ts';
import { joinF32, readIntegers, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { cosine, maxAbsError, sqnr } from '../../metrics/metrics.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { loadSource } from '../../opened/load-source.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import { litert } from '../../runtimes/litert.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { randomSequences } from '../../samples/token-sequences.ts';
import { type ChoicesBy, choicesBy, choicesOf, equalChoices, thresholdOf } from '../evaluate/decisions.ts';
import { allRows, type Rows, tokenOutputs, validRows } from './valid-rows.ts';

export interface VerifyOptions {
  /** The source's graph with no pass applied; batch and sequence symbolic, so that it takes what the file takes. */
  readonly reference: Graph;
  /**
   * Path of the source, where a runtime takes it: the file itself is then the reference, not the graph that mbert read
   * in it.
   */
  readonly source?: string | undefined;
  /** Runs the reference, where it is open already. Default: opened, and closed again. */
  readonly session?: RuntimeSession | undefined;
  /** Kind of `reference`: a model that was fitted to text computes something else than its source. */
  readonly against: 'source' | 'fitted graph';
  /** Path of the written file, or the bytes of its twin of fixed shapes. */
  readonly written: string | Uint8Array;
  readonly name: string;
  readonly task?: Task | undefined;
  /** The kind of a head's logits, where they are not those of classes of which one is right. */
  readonly logitsKind?: LogitsKind | undefined;
  readonly dtype: 'f32' | 'f16';
  readonly maxPositions: number;
  /** Id of padding in the file. */
  readonly pad: number;
  /** Ids of the reference by those of the file, where tokens were taken out. */
  readonly kept?: readonly number[] | undefined;
  /** True for a file that takes every token for one of the first text, also where it has an input for types. */
  readonly dropsTokenTypes?: boolean | undefined;
}

/** Comparison of a written file's outputs with those of its source. */
export interface WrittenVerification {
  /** True where every output is within its limit. */
  readonly ok: boolean;
  /**
   * Model that the file was compared with. It is unrounded, its weights with activations as they are, where it rounds all
   * activations of a run to one range and TFLite, which has no such rounding, each row to its own.
   */
  readonly against: 'source' | 'fitted graph' | 'unrounded source' | 'unrounded fitted graph';
  /** Runtime of the written file, as `onnxruntime 1.30.0`. */
  readonly runtime: string;
  readonly sequences: number;
  readonly outputs: readonly OutputComparison[];
  /**
   * True where the file differs from its source because scores of attention are so far apart that -10000 does not hide
   * padding: with the same number the source gives the same answers.
   */
  readonly seesPadding?: boolean;
}

/** One output of the written file beside the reference, over all sequences. */
export interface OutputComparison {
  readonly name: string;
  readonly maxAbsError: number;
  /** Largest maxAbsError that is allowed. */
  readonly limit: number;
  /** Signal to quantization noise in dB, 10·log10(Σ reference² / Σ error²); infinite where both are equal. */
  readonly sqnrDb: number;
  /**
   * SQNR in dB of the source as its file has it, beside the source with unrounded activations; undefined where the written
   * file was compared with the source as it is.
   */
  readonly sourceDb: number | undefined;
  /** Cosine of all values of both sides. */
  readonly cosine: number;
  /**
   * Share of equal choices, 0 … 1: of rows (last axis) whose largest value is at the same place, or of values that are
   * decided alike; undefined where there is nothing to choose.
   */
  readonly agreement: number | undefined;
  /** Says whether a choice is the largest value of a row or a decision on each value by itself. */
  readonly choices: ChoicesBy;
}

const LEAST_SEQUENCES = 16;
const SEED = 1;
/** Longest sequence for files of dynamic length: short enough to be quick, longer than any kernel's block. */
const MAX_DYNAMIC_LENGTH = 128;
const DYNAMIC_CHOICES = 2;

/**
 * Largest errors allowed: relative to the output's largest value, with an absolute floor. `f32`: rounding of folded
 * weights. `f16`: weights carry 11 bits. `quantized`: of a source that is quantized itself, two runtimes round halves
 * differently, a step of 8 bits at a time.
 */
const LIMITS = {
  f32: { absolute: 1e-4, relative: 5e-5 },
  f16: { absolute: 1e-2, relative: 2e-2 },
  quantized: { absolute: 1e-2, relative: 5e-2 },
} as const;

/**
 * Runs reference and file on seeded token sequences of varied length, with padding and token types, and compares the
 * outputs.
 */
export async function verifyFile(options: VerifyOptions): Promise<WrittenVerification> {
  const sessions: RuntimeSession[] = [];
  try {
    const source = options.session ?? (await loadSource(options.source, options.reference)).session;
    if (options.session === undefined) sessions.push(source);
    const runtime = runtimeFor(options.written);
    const written = await runtime.load(options.written, { name: options.name });
    sessions.push(written);
    const plain = runtime === litert ? withoutRounding(options.reference) : undefined;
    const unrounded = plain && (await loadSource(undefined, plain)).session;
    if (unrounded) sessions.push(unrounded);
    const { outputs, sequences } = await compare({ source, unrounded, written }, options);
    return {
      ok: outputs.every((output) => output.maxAbsError <= output.limit),
      against: unrounded ? `unrounded ${options.against}` : options.against,
      runtime: `${runtime.name} ${await runtime.version()}`,
      sequences,
      outputs,
    };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/**
 * A copy of the graph that leaves activations as they are where the graph rounds them to the range of a run; undefined
 * where it rounds none so. Of two models with loud channels that round in different ways neither is the other's
 * measure: a published e5-small-v2 is 19 dB away from its own weights, and from any other way of rounding. Weights
 * become floats, as ONNX's linears of integers round what they read.
 */
function withoutRounding(graph: Graph): Graph | undefined {
  if (!graph.nodes().some(({ op }) => op === 'dynamicRound')) return undefined;
  const copy = copyGraph(graph);
  for (const node of copy.nodes()) {
    if (node.op === 'dynamicRound') copy.replace(node, () => node.inputs[0] as Node);
    else if (node.op === 'constant' && node.type.quant) {
      const { tensor, name } = node;
      const { quant } = node.type;
      copy.replace(node, () => copy.constant(realTensor(tensor, quant), name));
    }
  }
  return copy;
}

/** Compares one output over all runs. The last axis may differ from run to run, so rows are compared within each. */
class Comparison {
  readonly name: string;
  readonly #reference: Float32Array[] = [];
  readonly #actual: Float32Array[] = [];
  readonly #choices: ChoicesBy;
  /** Value above which each is decided for, where choices are decisions. */
  readonly #threshold: number;
  #count = 0;
  #equal = 0;

  constructor(name: string, { reference, task, logitsKind }: VerifyOptions) {
    this.name = name;
    const axes = reference.outputs.find((output) => output.name === name)?.node.type.shape.length ?? 0;
    this.#choices = choicesBy({ task, logitsKind }, axes);
    this.#threshold = thresholdOf(reference, name);
  }

  add(wanted: readonly Rows[], found: readonly Rows[]): void {
    wanted.forEach((rows, i) => {
      this.#addRows(rows, found[i] as Rows);
    });
  }

  #addRows({ values: reference }: Rows, { values, width }: Rows): void {
    this.#reference.push(reference);
    this.#actual.push(values);
    if (width <= 1 && this.#choices === 'largest') return;
    const expected = choicesOf(this.#choices, reference, width, this.#threshold);
    const found = choicesOf(this.#choices, values, width, this.#threshold);
    this.#count += found.length;
    this.#equal += equalChoices(expected, found);
  }

  /** `own` is the source's comparison with the same reference: a file may be off as far as its source is. */
  result(precision: keyof typeof LIMITS, own?: OutputComparison): OutputComparison {
    const reference = joinF32(this.#reference);
    const values = joinF32(this.#actual);
    let largest = 0;
    for (const value of reference) largest = Math.max(largest, Math.abs(value));
    const { absolute, relative } = LIMITS[precision];
    return {
      name: this.name,
      // Two models that both answer NaN agree in nothing that anybody could use.
      maxAbsError: values.some(Number.isNaN) ? Number.NaN : maxAbsError(reference, values),
      limit: Math.max(absolute, relative * largest, own?.maxAbsError ?? 0),
      sqnrDb: sqnr(reference, values),
      sourceDb: own?.sqnrDb,
      cosine: cosine(reference, values),
      agreement: this.#count === 0 ? undefined : this.#equal / this.#count,
      choices: this.#choices,
    };
  }
}

interface Sessions {
  readonly source: RuntimeSession;
  /** The source without the rounding of its activations, where that is the reference. */
  readonly unrounded: RuntimeSession | undefined;
  readonly written: RuntimeSession;
}

async function compare(
  { source, unrounded, written }: Sessions,
  options: VerifyOptions,
): Promise<{ readonly outputs: readonly OutputComparison[]; readonly sequences: number }> {
  const names = written.outputs.map(({ name }) => name);
  const comparisons = names.map((name) => ({
    name,
    ofWritten: new Comparison(name, options),
    ofSource: unrounded && new Comparison(name, options),
  }));
  const ofTokens = tokenOutputs(options.reference);
  let sequences = 0;
  for (let run = 0; sequences < LEAST_SEQUENCES; run++) {
    const { tokens, mask, rows } = tokensFor(written, options, run);
    sequences += rows;
    const answers = async (session: RuntimeSession, own: typeof tokens) => session.run(feedsFrom(own, session), names);
    const known = asReference(tokens, options);
    const asIs = await answers(source, known);
    const expected = unrounded ? await answers(unrounded, known) : asIs;
    const actual = await answers(written, tokens);
    for (const { name, ofWritten, ofSource } of comparisons) {
      const rowsOf = (outputs: ReadonlyMap<string, Tensor>) => {
        const output = outputs.get(name) as Tensor;
        return mask !== undefined && ofTokens.has(name) ? validRows(output, mask) : allRows(output);
      };
      const wanted = rowsOf(expected);
      ofWritten.add(wanted, rowsOf(actual));
      ofSource?.add(wanted, rowsOf(asIs));
    }
  }
  const precision = precisionOf(options);
  const outputs = comparisons.map(({ ofWritten, ofSource }) =>
    ofWritten.result(precision, ofSource?.result(precision)),
  );
  return { outputs, sequences };
}

/**
 * The precision that decides the limits: that of the written file, or, where the source itself is the reference, that
 * in which it stores its weights.
 */
function precisionOf({ reference, source, dtype }: VerifyOptions): keyof typeof LIMITS {
  const nodes = reference.nodes();
  if (nodes.some(({ op, type }) => type.quant !== undefined || op === 'dynamicRound')) return 'quantized';
  return source !== undefined && nodes.some(({ op, type }) => op === 'constant' && type.dtype === 'f16')
    ? 'f16'
    : dtype;
}

/** Token sequences in the shape that the file takes; sizes that it leaves open vary from run to run. */
function tokensFor(
  session: RuntimeSession,
  { reference, maxPositions, pad, kept, dropsTokenTypes = false }: VerifyOptions,
  run: number,
): { tokens: ReadonlyMap<string, Tensor>; mask: Tensor | undefined; rows: number } {
  const shape = session.inputs[0]?.shape ?? [];
  const longest = Math.min(MAX_DYNAMIC_LENGTH, maxPositions);
  // The lengths of a dynamic file: from the longest down to a few tokens.
  const length = Math.max(2, Math.round(longest / (1 + (run % 8))));
  const sizes = shape.map((dim, axis) => {
    if (typeof dim === 'number' && dim > 0) return dim;
    if (axis === shape.length - 1) return length;
    return axis === 0 ? 1 + (run % 2) : DYNAMIC_CHOICES;
  });
  const tokens = randomSequences({
    shape: sizes,
    seed: SEED + run,
    vocabSize: kept?.length ?? tableRows(reference, 'input_ids'),
    // Every token is of the first text where the file does not take types, or does not look at them.
    tokenTypes: takes(session, 'token_type_ids') && !dropsTokenTypes ? tableRows(reference, 'token_type_ids') : 1,
    pad,
  });
  // A model without a mask takes padding for tokens.
  const mask = takes(session, 'attention_mask') ? tokens.get('attention_mask') : undefined;
  return { tokens, mask, rows: sizes[0] ?? 1 };
}

/** The same tokens by the ids that the reference has for them. */
function asReference(tokens: ReadonlyMap<string, Tensor>, { kept }: VerifyOptions): ReadonlyMap<string, Tensor> {
  const ids = tokens.get('input_ids');
  if (kept === undefined || ids === undefined) return tokens;
  const old = Int32Array.from(readIntegers(ids), (id) => kept[id] as number);
  return new Map(tokens).set('input_ids', tensorOf('i32', ids.shape, old));
}

function takes({ inputs }: RuntimeSession, kind: TokenInput): boolean {
  return inputs.some(({ name }) => tokenInput(name) === kind);
}

/** The inputs of a session, by its own names. */
function feedsFrom(tokens: ReadonlyMap<string, Tensor>, { inputs }: RuntimeSession): Map<string, Tensor> {
  return new Map(inputs.map(({ name }) => [name, tokens.get(tokenInput(name)) as Tensor]));
}
