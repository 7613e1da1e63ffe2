import type { Graph } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import { joinF32, readF32, type Tensor } from '../../ir/tensor.ts';
import { argmaxAgreement, maxAbsError, sqnr } from '../../metrics/metrics.ts';
import { loadSource } from '../../opened/load-source.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { randomSequences } from '../../samples/token-sequences.ts';

export interface VerifyOptions {
  /** The source's graph with no pass applied; batch and sequence symbolic, so that it takes what the file takes. */
  readonly reference: Graph;
  /** The source itself, where a runtime takes it: it is then the reference, not what mbert read in it. */
  readonly source?: string | undefined;
  /** What `reference` is: a model that was fitted to text computes something else than its source. */
  readonly against: WrittenVerification['against'];
  /** The written file, or the bytes of its fixed-length twin. */
  readonly written: string | Uint8Array;
  readonly name: string;
  readonly dtype: 'f32' | 'f16';
  readonly maxPositions: number;
  /** Id of padding. */
  readonly pad: number;
}

export interface WrittenVerification {
  /** Every output is within its limit. */
  readonly ok: boolean;
  /** What the file was compared with. */
  readonly against: 'source' | 'fitted graph';
  readonly runtime: string;
  readonly sequences: number;
  readonly outputs: readonly OutputComparison[];
}

export interface OutputComparison {
  readonly name: string;
  readonly maxAbsError: number;
  /** What maxAbsError may be. */
  readonly limit: number;
  /** 10·log10(Σref²/Σerr²), infinite where both are equal. */
  readonly sqnrDb: number;
  /** The share of rows (last axis) whose largest value is at the same place; 1 is all. Undefined where rows have one value. */
  readonly agreement: number | undefined;
}

const SEQUENCES = 16;
const SEED = 1;
/** Dynamic files are run at lengths up to this: short enough to be quick, longer than any kernel's block. */
const MAX_DYNAMIC_LENGTH = 128;
const DYNAMIC_CHOICES = 2;

/**
 * f32: rounding of folded weights, relative to the output's largest value, and an absolute floor. f16 weights carry 11
 * bits. Of a source that is quantized itself, two runtimes round halves differently, a step of 8 bits at a time.
 */
const LIMITS = {
  f32: { absolute: 1e-4, relative: 5e-5 },
  f16: { absolute: 1e-2, relative: 2e-2 },
  quantized: { absolute: 1e-2, relative: 5e-2 },
} as const;

/** Runs reference and file on seeded token sequences of varied length, with padding and token types, and compares. */
export async function verifyFile(options: VerifyOptions): Promise<WrittenVerification> {
  const sessions: RuntimeSession[] = [];
  try {
    const { session: reference } = await loadSource(options.source, options.reference);
    sessions.push(reference);
    const runtime = runtimeFor(options.written);
    const written = await runtime.load(options.written, { name: options.name });
    sessions.push(written);
    const outputs = await compare(reference, written, options);
    return {
      ok: outputs.every((output) => output.maxAbsError <= output.limit),
      against: options.against,
      runtime: `${runtime.name} ${await runtime.version()}`,
      sequences: SEQUENCES,
      outputs,
    };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/** One output over all runs; the last axis may differ from run to run, so rows are compared within each. */
class Comparison {
  readonly name: string;
  readonly #wanted: Float32Array[] = [];
  readonly #got: Float32Array[] = [];
  #rows = 0;
  #agreeing = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(expected: Tensor, actual: Tensor): void {
    const wanted = readF32(expected);
    const got = readF32(actual);
    this.#wanted.push(wanted);
    this.#got.push(got);
    const width = actual.shape.length > 1 ? (actual.shape.at(-1) as number) : 1;
    if (width === 1) return;
    this.#rows += got.length / width;
    this.#agreeing += argmaxAgreement(wanted, got, width) * (got.length / width);
  }

  result(precision: keyof typeof LIMITS): OutputComparison {
    const reference = joinF32(this.#wanted);
    const values = joinF32(this.#got);
    let largest = 0;
    for (const value of reference) largest = Math.max(largest, Math.abs(value));
    const { absolute, relative } = LIMITS[precision];
    return {
      name: this.name,
      maxAbsError: maxAbsError(reference, values),
      limit: Math.max(absolute, relative * largest),
      sqnrDb: sqnr(reference, values),
      agreement: this.#rows === 0 ? undefined : this.#agreeing / this.#rows,
    };
  }
}

async function compare(
  reference: RuntimeSession,
  written: RuntimeSession,
  options: VerifyOptions,
): Promise<OutputComparison[]> {
  const comparisons = written.outputs.map(({ name }) => new Comparison(name));
  const names = comparisons.map(({ name }) => name);
  for (let run = 0, done = 0; done < SEQUENCES; run++) {
    const { feeds, rows } = feedsFor(written, options, run);
    done += rows;
    const expected = await reference.run(feeds, names);
    const actual = await written.run(feeds, names);
    for (const comparison of comparisons) {
      comparison.add(expected.get(comparison.name) as Tensor, actual.get(comparison.name) as Tensor);
    }
  }
  const precision = precisionOf(options);
  return comparisons.map((comparison) => comparison.result(precision));
}

/** Where the source itself is the reference, it computes in the precision that it stores. */
function precisionOf({ reference, source, dtype }: VerifyOptions): keyof typeof LIMITS {
  const nodes = reference.nodes();
  if (nodes.some(({ op, type }) => type.quant !== undefined || op === 'dynamicRound')) return 'quantized';
  return source !== undefined && nodes.some(({ op, type }) => op === 'constant' && type.dtype === 'f16')
    ? 'f16'
    : dtype;
}

/** Token sequences in the shapes that the file takes; what it leaves open varies from run to run. */
function feedsFor(
  session: RuntimeSession,
  { reference, maxPositions, pad }: VerifyOptions,
  run: number,
): { feeds: ReadonlyMap<string, Tensor>; rows: number } {
  const shape = session.inputs[0]?.shape ?? [];
  const longest = Math.min(MAX_DYNAMIC_LENGTH, maxPositions);
  // The lengths of a dynamic file: from the longest down to a few tokens.
  const length = Math.max(2, Math.round(longest / (1 + (run % 8))));
  const sizes = shape.map((dim, axis) => {
    if (typeof dim === 'number' && dim > 0) return dim;
    if (axis === shape.length - 1) return length;
    return axis === 0 ? 1 + (run % 2) : DYNAMIC_CHOICES;
  });
  const all = randomSequences({
    shape: sizes,
    seed: SEED + run,
    vocabSize: tableRows(reference, 'input_ids'),
    tokenTypes: tableRows(reference, 'token_type_ids'),
    pad,
  });
  const feeds = new Map(session.inputs.map(({ name }) => [name, all.get(tokenInput(name)) as Tensor]));
  return { feeds, rows: sizes[0] ?? 1 };
}
