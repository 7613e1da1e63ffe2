import type { Graph, Node } from './graph.ts';
import { match, type Pattern } from './match.ts';
import type { Statistics, StatisticsRequest } from './statistics.ts';
import type { TextRuns } from './text-runs.ts';
import { verifyGraph } from './verify-graph.ts';

export interface PassReport {
  /** How often the pass changed the graph. */
  readonly rewrites: number;
  /** Where it could have but did not, each with the reason: `name: reason`. */
  readonly declined: readonly string[];
}

/** How wide a split embedding's table becomes: so many columns, or as few as keep this share (0 … 1) of its energy. */
export type EmbeddingRank = number | { readonly share: number };

/** What a pass may ask of its caller. */
export interface PassContext {
  /** True where the user wants this node left alone (`--keep`). */
  keeps(node: Node): boolean;
  /** Runs the graph as it is now on the calibration samples. Absent where there are none. */
  statistics?(requests: readonly StatisticsRequest[]): Promise<Statistics>;
  /** Runs any part of a graph on the calibration samples. Absent where there are none. */
  readonly runs?: TextRuns;
  /** The model as it was before any pass changed its function: what fitting passes aim at. Default: the pass's own graph. */
  readonly teacher?: Graph;
  /** How often each token id occurs in the calibration text. Absent where there is none. */
  readonly tokenCounts?: Float64Array | undefined;
  /** For split-embedding. */
  readonly embeddingRank?: EmbeddingRank | undefined;
}

export interface Pass {
  /** kebab-case, for --passes and reports. */
  readonly name: string;
  /** One line, before -> after. */
  readonly summary: string;
  /** What stays equal: every bit, values up to rounding, or only shapes (the function changes: asked for by name only). */
  readonly keeps: 'bits' | 'values' | 'shapes';
  /** May assume a valid graph; must leave one. */
  run(graph: Graph, context: PassContext): PassReport | Promise<PassReport>;
}

export const keepNothing: PassContext = { keeps: () => false };

/** Passes compute with real numbers, so what is stored quantized stays as it is. */
function withoutStored(context: PassContext): PassContext {
  const isStored = (node: Node) => node.type.quant !== undefined && node.op !== 'constant';
  return { ...context, keeps: (node) => isStored(node) || context.keeps(node) };
}

/** Runs passes in order and verifies the graph after each. */
export async function runPasses(
  graph: Graph,
  passes: readonly Pass[],
  context: PassContext = keepNothing,
): Promise<(PassReport & { readonly pass: Pass })[]> {
  const reports: (PassReport & { pass: Pass })[] = [];
  for (const pass of passes) {
    const report = await pass.run(graph, withoutStored(context));
    graph.prune();
    verifyGraph(graph, pass.name);
    reports.push({ ...report, pass });
  }
  return reports;
}

/** A pass that is one rule: where the pattern fits a node, `replace` builds what takes its place or says why not. */
export function rewrite<C>(
  rule: Omit<Pass, 'run'> & {
    readonly pattern: Pattern<C>;
    /** A string declines, and says why. */
    replace(graph: Graph, found: C, root: Node): Node | string;
  },
): Pass {
  return {
    name: rule.name,
    summary: rule.summary,
    keeps: rule.keeps,
    run(graph, context) {
      let rewrites = 0;
      const declined: string[] = [];
      for (const node of graph.nodes()) {
        const found = match(rule.pattern, node);
        if (found === null || context.keeps(node)) continue;
        const changed = graph.replace(node, () => {
          const made = rule.replace(graph, found, node);
          if (typeof made !== 'string') return made;
          declined.push(`${node.name}: ${made}`);
          return null;
        });
        if (changed) rewrites++;
      }
      return { rewrites, declined };
    },
  };
}
