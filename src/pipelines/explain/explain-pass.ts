import { MbertError, nearest } from '../../errors.ts';
import { openSource } from '../../importers/index.ts';
import { LinearExpression } from '../../io/regular-expression.ts';
import type { Graph } from '../../ir/graph.ts';
import { type Attempt, keepNothing, type Pass, runPasses } from '../../ir/pass.ts';
import { openModel } from '../../opened/open-model.ts';
import type { ModelOptions } from '../../options/model.ts';
import type { PassOptions } from '../../options/passes.ts';
import { type RunOptions, startRun } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import { fittedPasses, passes, selectPasses, type Target } from '../../passes/index.ts';
import { raisePasses } from '../../passes/raise/raise.ts';

export interface ExplainOptions
  extends Pick<ModelOptions, 'task'>,
    ShapeOptions,
    Pick<PassOptions, 'passes'>,
    RunOptions {
  readonly source: string;
  /** The pass that is asked about. */
  readonly pass: string;
  /** The name of a node, or a regular expression for names. Default: nodes that the pass nearly took. */
  readonly at?: string | undefined;
  /** The format whose passes run. Default: that of the pass, else onnx. */
  readonly target?: Target | undefined;
}

/** What a pass made of the nodes of a model, and why. */
export interface Explanation {
  readonly pass: string;
  readonly summary: string;
  /** What a rule looks for; undefined where the pass is no rule, and keeps no record of single nodes. */
  readonly pattern: string | undefined;
  /** How many parts the pattern has. */
  readonly parts: number | undefined;
  /** One for each time that the pass runs. */
  readonly runs: readonly ExplainedRun[];
}

export interface ExplainedRun {
  /** Finding high-level ops in a graph of another tool, or on the way to a format. */
  readonly stage: 'raising' | Target;
  /** Passes that ran before on the same graph: the nodes are those that they left. */
  readonly behind: readonly string[];
  readonly rewrites: number;
  /** What the pass itself says that it left alone, `name: reason`. */
  readonly declined: readonly string[];
  /** Nodes that were asked about, those first that the pattern fits best. */
  readonly nodes: readonly Attempt[];
  /** How many more there are. */
  readonly others: number;
}

/** A reader wants the nearest; there can be thousands. */
const MAX_NODES = 10;

/** Runs a model's passes up to one of them, and tells what that made of the nodes that it met. Throws MbertError. */
export async function explainPass(options: ExplainOptions): Promise<Explanation> {
  const pass = passNamed(options.pass);
  if (fittedPasses.some((fitted) => fitted === pass)) {
    throw new MbertError('USAGE', `--explain: ${pass.name} is fitted to text, and takes every node of its kind`, {
      hint: `mbert convert --passes ${pass.name} --calibrate FILE reports what it did`,
    });
  }
  const run = startRun(options);
  run.progress('reading');
  const raising = await raisingRuns(pass, options);
  run.progress('running passes');
  const runs = [...raising, ...(await targetRuns(pass, options))];
  if (runs.length === 0) {
    throw new MbertError('USAGE', `--explain: ${pass.name} finds ops in graphs, ${options.source} is a checkpoint`, {
      hint: 'a checkpoint is built with its high-level ops',
    });
  }
  const { name, summary, pattern } = pass;
  return { pass: name, summary, pattern: pattern?.text, parts: pattern?.size, runs };
}

function passNamed(name: string): Pass {
  const all = [...passes.map(({ pass }) => pass), ...raisePasses];
  const found = all.find((pass) => pass.name === name);
  if (found) return found;
  const near = nearest(
    name,
    all.map((pass) => pass.name),
  );
  throw new MbertError('USAGE', `--explain: there is no pass "${name}"`, {
    hint: near ? `did you mean ${near}?` : 'mbert passes lists those that run on the way to a file',
  });
}

async function raisingRuns(pass: Pass, { source: path, at }: ExplainOptions): Promise<ExplainedRun[]> {
  if (!raisePasses.includes(pass)) return [];
  const source = await openSource(path);
  if (source.yields !== 'graph') {
    source.checkpoint.close();
    return [];
  }
  try {
    const runs: ExplainedRun[] = [];
    for (const [i, each] of raisePasses.entries()) {
      const behind = raisePasses.slice(0, i).map(({ name }) => name);
      if (each === pass) runs.push(await explainRun(source.graph, pass, { stage: 'raising', behind, at }));
      else await runPasses(source.graph, [each]);
    }
    return runs;
  } finally {
    source.close();
  }
}

async function targetRuns(pass: Pass, options: ExplainOptions): Promise<ExplainedRun[]> {
  const entry = passes.find((each) => each.pass === pass);
  if (entry === undefined) return [];
  const { runs } = entry;
  const stage = options.target ?? (runs === 'tflite' ? 'tflite' : 'onnx');
  const chosen = selectPasses(`${options.passes ?? ''},${pass.name}`, stage);
  const before = chosen.slice(0, chosen.indexOf(pass));
  const model = await openModel(options.source, options);
  try {
    const graph = model.build(stage, options);
    await runPasses(graph, before);
    return [await explainRun(graph, pass, { stage, behind: before.map(({ name }) => name), at: options.at })];
  } finally {
    model.close();
  }
}

async function explainRun(
  graph: Graph,
  pass: Pass,
  { at, ...point }: Pick<ExplainedRun, 'stage' | 'behind'> & { readonly at: string | undefined },
): Promise<ExplainedRun> {
  const names = graph.nodes().map(({ name }) => name);
  const isAsked = at === undefined ? undefined : selector(at, names);
  const attempts: Attempt[] = [];
  const tried = (attempt: Attempt) => {
    if (isAsked?.(attempt.name) ?? isNear(attempt)) attempts.push(attempt);
  };
  const [report] = await runPasses(graph, [pass], { ...keepNothing, observers: [{ tried }] });
  const { rewrites = 0, declined = [] } = report ?? {};
  const nodes = attempts.toSorted((a, b) => b.fitted - a.fitted).slice(0, MAX_NODES);
  return {
    ...point,
    rewrites,
    declined: declined.filter((line) => isAsked?.(nameIn(line, names)) ?? true),
    nodes,
    others: attempts.length - nodes.length,
  };
}

/** What was nearly taken. A node of which nothing fits is just another node. */
function isNear({ outcome, fitted }: Attempt): boolean {
  return outcome !== 'rewritten' && fitted > 0;
}

/** Names may hold what means something in a regular expression: one that is a node's is no expression. */
function selector(at: string, names: readonly string[]): (name: string) => boolean {
  if (names.includes(at)) return (name) => name === at;
  const expression = regularExpression(at);
  if (names.some((name) => expression.test(name))) return (name) => expression.test(name);
  const near = nearest(at, names);
  throw new MbertError('USAGE', `--at: no node is called "${at}" where the pass begins`, {
    hint: near ? `did you mean ${near}?` : 'mbert inspect --dump-passes DIR writes the graph with its names there',
  });
}

function regularExpression(text: string): RegExp {
  try {
    return new LinearExpression(text);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new MbertError('USAGE', `--at: it must be a regular expression: ${problem}`);
  }
}

/** The node that `name: reason` or `name and 3 more: reason` is about: names may hold colons, so the longest that fits. */
function nameIn(line: string, names: readonly string[]): string {
  const fitting = names.filter(
    (name) => line.startsWith(name) && /^(?: and \d+ more)?: /.test(line.slice(name.length)),
  );
  return fitting.reduce((longest, name) => (name.length > longest.length ? name : longest), '');
}
