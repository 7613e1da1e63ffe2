import { listNames, MbertError } from '../errors.ts';
import type { Node } from '../ir/graph.ts';
import type { EmbeddingRank, Pass } from '../ir/pass.ts';
import { changingPasses, operationShareIn, selectPasses, type Target } from '../passes/index.ts';
import { splitEmbedding } from '../passes/split-embedding.ts';
import type { StepCount } from './step-count.ts';

/** Options for which passes run, and what they may do. */
export interface PassOptions {
  /** Adds to or takes from the default passes: `a,b` adds, `-c` takes out, `none` starts empty, `prune=0.5` is a pass with its budget. */
  readonly passes?: string | undefined;
  /** Names of nodes that passes leave alone. */
  readonly keep?: RegExp | undefined;
  /** Width of the table that split-embedding makes. Default 128 columns. */
  readonly embeddingRank?: EmbeddingRank | undefined;
  /** Training steps after passes that change the function. Default none. */
  readonly distill?: StepCount | undefined;
}

/** Passes as the user chose them. */
export interface PassChoice {
  /** The passes for a target, in the order in which they run. */
  select(target: Target): readonly Pass[];
  /** Passes that change the function and were asked for by name. */
  readonly changing: readonly Pass[];
  /** True where others than the default passes are asked for, which compute with weights as real numbers. */
  readonly asksForMore: boolean;
  /** Puts a list before the user's, which overrides it. */
  before(list: string): PassChoice;
  /** Puts a list behind the user's and overrides it. */
  behind(list: string): PassChoice;
  keeps(node: Node): boolean;
  readonly embeddingRank: EmbeddingRank | undefined;
  /** The share of operations that prune leaves; undefined where the user names none. */
  readonly operationShare: number | undefined;
  readonly distill: StepCount | undefined;
}

/** Resolves the user's choice. Throws USAGE for an unknown pass, and for options of passes that were not asked for. */
export function passChoice({ passes = '', keep, embeddingRank, distill }: PassOptions): PassChoice {
  // No pass that changes the function runs by default, so each target gives the same ones.
  const asked = selectPasses(passes, 'onnx');
  const changing = changingPasses.filter((pass) => asked.includes(pass));
  const operationShare = operationShareIn(passes);
  if (embeddingRank !== undefined && !changing.includes(splitEmbedding))
    throw new MbertError('USAGE', '--embedding-rank: is for --passes split-embedding');
  if (distill !== undefined && changing.length === 0) throw noChangingPass('distill');
  const choose = (list: string): PassChoice => ({
    select: (target) => selectPasses(list, target),
    changing,
    asksForMore: list.split(',').some((word) => word.trim() !== '' && word.trim() !== 'none' && !/^\s*-/.test(word)),
    before: (more) => choose(`${more},${list}`),
    behind: (more) => choose(`${list},${more}`),
    keeps: (node) => keep?.test(node.name) ?? false,
    embeddingRank,
    operationShare,
    distill,
  });
  return choose(passes);
}

/** The USAGE error for a flag that needs a pass which changes the function, where none is asked for. */
export function noChangingPass(flag: string, more = ''): MbertError {
  const names = listNames(changingPasses.map(({ name }) => name));
  return new MbertError('USAGE', `--${flag}: no pass is asked for that changes the function`, {
    hint: `name one with --passes: ${names}${more}`,
  });
}
