import { diffGraphs, type GraphDiff } from '../../diff/diff-graphs.ts';
import type { Difference, Kind, SizeDifference } from '../../diff/difference.ts';
import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { constantBytes } from '../../ir/text.ts';
import type { Task } from '../../models/index.ts';
import { type Run, type RunOptions, startRun } from '../../options/run.ts';
import { moveBiases, normalizeBoth } from '../../passes/canonical/normalize.ts';
import { raise } from '../../passes/raise/raise.ts';
import { compareFacts } from './facts.ts';
import { matchesAny, subjectsOf } from './ignored.ts';
import type { NumericResult } from './numeric.ts';
import { type DiffOutline, outlineBoth } from './outline.ts';
import { type DiffSide, openSide } from './sides.ts';

/** Options of `diffModels`. */
export interface DiffModelsOptions extends RunOptions {
  readonly a: string;
  readonly b: string;
  /**
   * Form in which graphs are compared. `raw`: as stored; `raised`: by meaning. Default: raw for two sources of one
   * format, raised for others.
   */
  readonly level?: 'raw' | 'raised' | undefined;
  /** Head to build from checkpoints. */
  readonly task?: Task | undefined;
  /**
   * Tolerance for weights and outputs: |a - b| <= atol + rtol · largest. Default 0 as stored, f32 rounding by meaning.
   */
  readonly atol?: number | undefined;
  readonly rtol?: number | undefined;
  /** Runs both on seeded token sequences: in the real runtimes, or by the ops' reference semantics, which is slow. */
  readonly numeric?: 'runtime' | 'reference' | undefined;
  /** Names whose differences do not count; `*` stands for anything. */
  readonly ignore?: readonly string[] | undefined;
  /** Largest difference in size, in bytes or as a share of a's size. Without it sizes are not judged. */
  readonly maxSizeDelta?: SizeLimit | undefined;
  /** The kinds of differences that make the answer "different". Default: all. */
  readonly failOn?: readonly Kind[] | undefined;
  /** Adds both graphs as plain data, for a picture. */
  readonly outline?: boolean | undefined;
}

export type SizeLimit = { readonly bytes: number } | { readonly share: number };

/** One of the compared models in numbers. */
export interface SideSummary {
  readonly path: string;
  readonly format: string;
  /** Number of nodes, constants not counted. */
  readonly nodes: number;
  /** Number of nodes of each op, the most frequent first. */
  readonly ops: { readonly [op: string]: number };
  /** Bytes of all constants. */
  readonly weightBytes: number;
  /** Size of the file; null for a folder. */
  readonly fileBytes: number | null;
}

/** Result of `diffModels`. */
export interface ModelDiff {
  readonly a: SideSummary;
  readonly b: SideSummary;
  /**
   * Form in which the graphs were compared. `text`: as `mbert inspect` prints them, which is what graph text is
   * compared with.
   */
  readonly level: 'raw' | 'raised' | 'text';
  /** True where there is no difference of a kind that counts. */
  readonly same: boolean;
  /** Number of differences of each kind. */
  readonly counts: { readonly [K in Kind]: number };
  readonly differences: readonly Difference[];
  /** Number of differences that were found but are to be ignored. */
  readonly ignored: number;
  /** Number of nodes that have a partner in the other graph. */
  readonly paired: number;
  /** Number of those whose partner has another name. */
  readonly renamed: number;
  readonly constants: GraphDiff['constants'];
  readonly numeric: NumericResult | null;
  readonly warnings: readonly string[];
  /** Both graphs as plain data, where it was asked for. */
  readonly outline?: DiffOutline;
}

/** Compares two models of any formats, or with graph text. Throws MbertError where they cannot be compared. */
export async function diffModels(options: DiffModelsOptions): Promise<ModelDiff> {
  const run = startRun(options);
  run.plan(['read', 'compare', ...(options.numeric ? ['run'] : [])]);
  run.progress('reading');
  const a = await openSide(options.a, options.task);
  try {
    run.progress('reading the second');
    const b = await openSide(options.b, options.task);
    try {
      return await compareSides(a, b, options, run);
    } finally {
      b.close();
    }
  } finally {
    a.close();
  }
}

/**
 * Relative tolerance by meaning: folding multiplies up to some hundred gains, with 2^-24 of rounding each, and some of
 * it cancels.
 */
const ROUNDING = 1e-5;

async function compareSides(a: DiffSide, b: DiffSide, options: DiffModelsOptions, run: Run): Promise<ModelDiff> {
  run.enter('compare');
  run.progress('comparing');
  const level = levelOf(a, b, options.level);
  const graphs = await graphsOf(a, b, level);
  const isRaised = level === 'raised';
  const tolerance = { absolute: options.atol ?? 0, relative: options.rtol ?? (isRaised ? ROUNDING : 0) };
  const compare = () => diffGraphs(graphs.a, graphs.b, { tolerance, order: !isRaised, dtype: !isRaised });
  let graphDiff = compare();
  if (isRaised && graphDiff.differences.some(isBiasElsewhere)) {
    await moveBiases(graphs.a, graphs.b);
    const moved = compare();
    if (moved.differences.length < graphDiff.differences.length) graphDiff = moved;
  }
  const summaries = { a: summaryOf(a, graphs.a), b: summaryOf(b, graphs.b) };
  run.enter('run');
  if (options.numeric) run.progress('running both');
  const numeric = options.numeric ? await runBoth(a, b, options.numeric, options) : null;
  const all: Difference[] = [
    ...graphDiff.differences,
    ...compareFacts(a, b, isRaised ? 'raised' : 'raw'),
    ...compareSizes(summaries.a, summaries.b, options.maxSizeDelta),
    ...(numeric?.outputs ?? []).filter(({ isWithin }) => !isWithin).map(({ difference }) => difference),
  ];
  const ignores = matchesAny(options.ignore ?? []);
  const differences = all.filter((difference) => !subjectsOf(difference).every((names) => names.some(ignores)));
  const counts = countKinds(differences);
  const failing = options.failOn ?? Object.keys(counts);
  return {
    ...summaries,
    level,
    same: failing.every((kind) => counts[kind as Kind] === 0),
    counts,
    differences,
    ignored: all.length - differences.length,
    paired: graphDiff.paired,
    renamed: graphDiff.renamed,
    constants: graphDiff.constants,
    numeric,
    warnings: [...a.warnings, ...b.warnings, ...unmatched(options.ignore, () => namesIn(all, [a, b], graphs))],
    ...(options.outline && { outline: outlineBoth(graphs.a, graphs.b, graphDiff.partners, differences) }),
  };
}

/** The names that differences can be ignored by: of nodes, outputs and metadata, as far as they are there. */
function namesIn(
  differences: readonly Difference[],
  sides: readonly DiffSide[],
  compared: { readonly a: Graph; readonly b: Graph },
): string[] {
  const graphs = [compared.a, compared.b, ...sides.map(({ graph }) => graph)];
  return [
    'size',
    ...differences.flatMap((difference) => subjectsOf(difference).flat()),
    ...graphs.flatMap((graph) => [...graph.nodes(), ...graph.inputs, ...graph.outputs].map(({ name }) => name)),
    ...sides.flatMap(({ meaning, facts }) => [...meaning.keys(), ...facts.keys()]),
  ];
}

/** Warns of patterns that fit no name: a slip of the pen would ignore nothing without a word. */
function unmatched(patterns: readonly string[] | undefined, namesOf: () => readonly string[]): string[] {
  if (patterns === undefined) return [];
  const names = namesOf();
  return patterns
    .filter((pattern) => !names.some(matchesAny([pattern])))
    .map((pattern) => `--ignore ${pattern}: neither model has anything of such a name`);
}

/** True where one side has a bias that the other lacks. */
function isBiasElsewhere(difference: Difference): boolean {
  return (
    difference.kind === 'structure' &&
    difference.change === 'rewired' &&
    difference.readers.every(({ input }) => input === 'bias')
  );
}

/** Runs both models; the runtimes are loaded only here. */
async function runBoth(a: DiffSide, b: DiffSide, how: 'runtime' | 'reference', options: DiffModelsOptions) {
  const { compareOutputs } = await import('./numeric.ts');
  return compareOutputs(a, b, how, options);
}

function levelOf(a: DiffSide, b: DiffSide, requested: 'raw' | 'raised' | undefined): ModelDiff['level'] {
  const text = [a, b].find(({ format }) => format === 'text');
  if (text === undefined) return requested ?? (a.format === b.format ? 'raw' : 'raised');
  if (requested !== 'raised') return 'text';
  throw new MbertError('USAGE', `--level raised: ${text.path} is graph text, which has no weights to fold`, {
    hint: 'compare the models, or leave --level out',
  });
}

/** A checkpoint's graph for the length that the other side has fixed. */
function referenceBeside(side: DiffSide, other: DiffSide): Graph {
  const length = other.reference.inputs[0]?.type.shape.at(-1);
  return (typeof length === 'number' ? side.atLength?.(length) : undefined) ?? side.reference;
}

async function graphsOf(a: DiffSide, b: DiffSide, level: ModelDiff['level']): Promise<{ a: Graph; b: Graph }> {
  if (level === 'raised') return normalizeBoth(referenceBeside(a, b), referenceBeside(b, a));
  if (level === 'raw') return { a: a.graph, b: b.graph };
  // Graph text was printed by `inspect`, which finds high-level ops first; a checkpoint's graph has no others.
  for (const { format, graph } of [a, b]) if (format !== 'text' && format !== 'checkpoint') await raise(graph);
  return { a: a.graph, b: b.graph };
}

function summaryOf({ path, format, fileBytes }: DiffSide, graph: Graph): SideSummary {
  const ops = new Map<string, number>();
  let nodes = 0;
  for (const { op } of graph.nodes()) {
    if (op === 'input' || op === 'constant') continue;
    nodes++;
    ops.set(op, (ops.get(op) ?? 0) + 1);
  }
  const byCount = [...ops].sort(([nameA, x], [nameB, y]) => y - x || (nameA < nameB ? -1 : 1));
  return {
    path,
    format,
    nodes,
    ops: Object.fromEntries(byCount),
    weightBytes: constantBytes(graph),
    fileBytes: fileBytes ?? null,
  };
}

/** Compares the sizes of the files or, where one side is a folder or text, of the weights. */
function compareSizes(a: SideSummary, b: SideSummary, limit: SizeLimit | undefined): SizeDifference[] {
  if (limit === undefined) return [];
  const areFiles = [a, b].every(({ fileBytes, format }) => fileBytes !== null && format !== 'text');
  const [fromBytes, toBytes] = [a, b].map((side) => (areFiles ? side.fileBytes : side.weightBytes)) as [number, number];
  const limitBytes = 'bytes' in limit ? limit.bytes : limit.share * fromBytes;
  if (Math.abs(toBytes - fromBytes) <= limitBytes) return [];
  return [{ kind: 'size', change: 'size', fromBytes, toBytes, limitBytes }];
}

function countKinds(differences: readonly Difference[]): Record<Kind, number> {
  const counts: Record<Kind, number> = { structure: 0, weights: 0, quant: 0, metadata: 0, size: 0, numeric: 0 };
  for (const { kind } of differences) counts[kind]++;
  return counts;
}
