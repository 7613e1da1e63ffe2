import type { Graph, Node } from './graph.ts';
import { match, type Pattern, why } from './match.ts';
import { missText } from './miss.ts';
import { leaveTrail } from './pass-trail.ts';
import type { Statistics, StatisticsRequest } from './statistics.ts';
import type { TextRuns } from './text-runs.ts';
import { verifyGraph } from './verify-graph.ts';

export interface PassReport {
  /** How often the pass changed the graph. */
  readonly rewrites: number;
  /** Where it could have but did not, each with the reason: `name: reason`. */
  readonly declined: readonly string[];
  /** What a calibrated pass decided, a line each: `name: what, and what it is expected to bring`. */
  readonly notes?: readonly string[];
  /** All notes in one line, for where there is no room for each. */
  readonly summary?: string;
}

/** How wide a split embedding's table becomes: so many columns, or as few as keep this share (0 … 1) of its energy. */
export type EmbeddingRank = number | { readonly share: number };

/** Services that a pass may ask of its caller. */
export interface PassContext {
  /** True where the user wants this node left alone (`--keep`). */
  keeps(node: Node): boolean;
  /**
   * Runs the graph as it is now on the calibration samples: on `some`, which tell how large channels are beside each
   * other, or on `all`, for what only few tokens show. Absent where there are none.
   */
  statistics?(requests: readonly StatisticsRequest[], samples?: 'some' | 'all'): Promise<Statistics>;
  /** Runs any part of a graph on the calibration samples. Absent where there are none. */
  readonly runs?: TextRuns;
  /** The model as it was before any pass changed its function: what fitting passes aim at. Default: the pass's own graph. */
  readonly teacher?: Graph;
  /** How often each token id occurs in the calibration text. Absent where there is none. */
  readonly tokenCounts?: Float64Array | undefined;
  /** For split-embedding. */
  readonly embeddingRank?: EmbeddingRank | undefined;
  /** For prune: the share of operations that is left, above 0 and below 1. */
  readonly operationShare?: number | undefined;
  /** Hear what passes do while they run. */
  readonly observers?: readonly PassObserver[] | undefined;
}

/** Listener to passes: each hook is heard where it is there. */
export interface PassObserver {
  /** A graph that passes are about to run on. */
  starts?(graph: Graph): void;
  /** A pass has run for so long and left a valid graph. */
  after?(graph: Graph, pass: string, report: PassReport, timeMs: number): void;
  /** A pass that is one rule has looked at a node. */
  tried?(attempt: Attempt): void;
}

/** Outcome of trying a rule at one node: `kept` where it was to be left alone, `missed` where the pattern does not fit. */
export interface Attempt {
  readonly name: string;
  readonly op: Node['op'];
  readonly outcome: 'rewritten' | 'kept' | 'declined' | 'missed';
  /** How many parts of the pattern fitted. */
  readonly fitted: number;
  /** Why the node stays as it is; empty where it does not. */
  readonly reason: string;
}

export interface Pass {
  /** kebab-case, for --passes and reports. */
  readonly name: string;
  /** One line, before -> after. */
  readonly summary: string;
  /** What stays equal: every bit, values up to rounding, or only shapes (the function changes: asked for by name only). */
  readonly keeps: 'bits' | 'values' | 'shapes';
  /** What a pass that is one rule looks for. */
  readonly pattern?: Pattern<unknown>;
  /** May assume a valid graph; must leave one. */
  run(graph: Graph, context: PassContext): PassReport | Promise<PassReport>;
}

export const keepNothing: PassContext = { keeps: () => false };

/** Passes compute with real numbers, so what is stored quantized stays as it is. */
function withoutStored(context: PassContext): PassContext {
  const isStored = (node: Node) => node.type.quant !== undefined && node.op !== 'constant';
  return { ...context, keeps: (node) => isStored(node) || context.keeps(node) };
}

/** Runs passes in order and verifies the graph after each. An error that is a bug carries its `PassTrail`. */
export async function runPasses(
  graph: Graph,
  passes: readonly Pass[],
  context: PassContext = keepNothing,
): Promise<(PassReport & { readonly pass: Pass })[]> {
  const { observers = [] } = context;
  for (const observer of observers) observer.starts?.(graph);
  const reports: (PassReport & { pass: Pass })[] = [];
  for (const pass of passes) {
    const behind = reports.map((each) => each.pass.name);
    const report = await runStep(graph, pass.name, () => pass.run(graph, withoutStored(context)), {
      observers,
      behind,
    });
    reports.push({ ...report, pass });
  }
  return reports;
}

/** Runs a change of the graph whose report says more than a pass's; it is verified and observed as a pass is. */
export function runAsPass<R extends PassReport>(
  graph: Graph,
  name: string,
  change: () => R | Promise<R>,
  observers: readonly PassObserver[],
): Promise<R> {
  for (const observer of observers) observer.starts?.(graph);
  return runStep(graph, name, change, { observers, behind: [] });
}

async function runStep<R extends PassReport>(
  graph: Graph,
  name: string,
  change: () => R | Promise<R>,
  { observers, behind }: { readonly observers: readonly PassObserver[]; readonly behind: readonly string[] },
): Promise<R> {
  try {
    const before = graph.version;
    const start = performance.now();
    const report = await change();
    const timeMs = performance.now() - start;
    if (graph.version !== before) {
      graph.prune();
      verifyGraph(graph, name);
    }
    for (const observer of observers) observer.after?.(graph, name, report, timeMs);
    return report;
  } catch (cause) {
    leaveTrail(cause, { pass: name, behind });
    throw cause;
  }
}

/** A pattern and what to do where it fits. */
export interface Rule<C> extends Omit<Pass, 'run' | 'pattern'> {
  readonly pattern: Pattern<C>;
  /** Why a node that fits is none of the rule's business. Nothing is lost by that, so no report shows it. */
  unless?(graph: Graph, found: C, root: Node): string | null;
  /** A string declines, and says why. */
  replace(graph: Graph, found: C, root: Node): Node | string;
}

/** A pass that is one rule: where the pattern fits a node, `replace` builds what takes its place or says why not. */
export function rewrite<C>(rule: Rule<C>): Pass {
  const { name, summary, keeps, pattern } = rule;
  return {
    name,
    summary,
    keeps,
    pattern,
    run(graph, context) {
      const listeners = (context.observers ?? []).filter(({ tried }) => tried !== undefined);
      let rewrites = 0;
      const declined: string[] = [];
      for (const node of graph.nodes()) {
        const found = match(pattern, node);
        // Nearly all nodes of a graph: nothing is recorded unless somebody listens.
        if (found === null && listeners.length === 0) continue;
        const { name: at, op } = node;
        const made = found === null ? missed(pattern, node) : applied(rule, graph, found, node, context);
        if (made.outcome === 'rewritten') rewrites++;
        if (made.isReported) declined.push(`${at}: ${made.reason}`);
        const { outcome, reason, fitted = pattern.size } = made;
        for (const listener of listeners) listener.tried?.({ name: at, op, outcome, fitted, reason });
      }
      return { rewrites, declined };
    },
  };
}

type Made = Pick<Attempt, 'outcome' | 'reason'> & { readonly fitted?: number; readonly isReported?: boolean };

function missed(pattern: Pattern<unknown>, node: Node): Made {
  const miss = why(pattern, node);
  return { outcome: 'missed', fitted: miss?.fitted ?? 0, reason: miss === null ? '' : missText(node, miss) };
}

function applied<C>(rule: Rule<C>, graph: Graph, found: C, node: Node, context: PassContext): Made {
  if (context.keeps(node)) return { outcome: 'kept', reason: 'is stored quantized, or to be left alone' };
  const reason = rule.unless?.(graph, found, node) ?? null;
  if (reason !== null) return { outcome: 'declined', reason };
  let refusal: string | undefined;
  const isChanged = graph.replace(node, () => {
    const made = rule.replace(graph, found, node);
    if (typeof made !== 'string') return made;
    refusal = made;
    return null;
  });
  if (isChanged) return { outcome: 'rewritten', reason: '' };
  return { outcome: 'declined', reason: refusal ?? 'is in that form already', isReported: refusal !== undefined };
}
