import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import type { TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { type Run, within } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import { compareFiles } from '../evaluate/compare-files.ts';
import { compareSpeed, type SpeedResult } from '../evaluate/compare-speed.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { heldOutOf } from '../fit/measure.ts';
import type { HeldOut } from '../fit/types.ts';
import { fitChanges } from './fit-changes.ts';
import type { FormCosts } from './form-costs.ts';
import type { Latencies } from './latency.ts';
import { type Proposal, proposeStudents } from './propose.ts';
import { amountsOf, answersOf, noiseOf, type Score } from './score-candidates.ts';
import type { Space } from './space.ts';
import { summarize, wordColumnsOf } from './summary.ts';
import { leastOf, termsOf } from './terms.ts';
import type { Budget, FoundModel, MissedBudget } from './types.ts';
import { type WritingContext, writeStudent } from './write-student.ts';

/** What finding models needs: the scored space, what things cost, and texts. */
export interface FindContext {
  readonly space: Space;
  readonly scores: readonly Score[];
  readonly forms: readonly FormCosts[];
  /** Undefined where no budget is one of time. */
  readonly latencies: Latencies | undefined;
  /** Path of the teacher's float file. */
  readonly reference: string;
  /** A graph with the inputs that the files have. */
  readonly inputs: Graph;
  /** Runs on the texts that whole models are fitted to. */
  readonly fitted: TextRuns;
  /** Runs on the texts that whole models are chosen by. */
  readonly chosen: TextRuns;
  /** The teacher's answers to these. */
  readonly expected: readonly TextMatrix[];
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  readonly writing: WritingContext;
  readonly output: string;
  readonly run: Run;
}

/** Whole models that are fitted for a budget, of which the best on held-out text is taken. */
const PROPOSALS = 2;
/** Attempts to meet a budget as measured: what is written is mostly within a percent of what was expected. */
const MAX_ATTEMPTS = 3;
/** What an attempt aims below a budget that the one before it missed. */
const MARGIN = 0.01;

/** Finds, fits and writes the best model within a budget, and measures it as it was written. */
export async function findModel(budget: Budget, context: FindContext): Promise<FoundModel | MissedBudget> {
  const path = pathOf(budget, context.output, context.writing.target);
  let excess = 0;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const proposals = proposalsFor(budget, context, { excess, count: attempt === 0 ? PROPOSALS : 1 });
    if (proposals.length === 0) break;
    const { graph, proposal, form, noise } = await bestOf(proposals, budget, context);
    const bytes = await writeStudent(graph, { form: form.form, narrow: proposal.narrow }, path, context.writing);
    const speed = await timed(path, context);
    const over = overBudget(budget, { bytes, speed });
    if (over <= 0) return described({ budget, path, graph, proposal, form, noise, bytes, speed }, context);
    excess += over;
  }
  rmSync(path, { force: true });
  return { budget, reason: leastText(budget, context) };
}

/** Path of a budget's model in the folder of the search. */
export function pathOf(budget: Budget, folder: string, target: Target): string {
  return join(folder, `${nameOf(budget)}.${target}`);
}

/** Name of a budget's model, without an ending. */
export function nameOf(budget: Budget): string {
  if (budget.kind === 'latency') return `latency-${Number(budget.ratio.toFixed(4))}`;
  const [unit, name] = (
    [
      [1e6, 'MB'],
      [1e3, 'kB'],
    ] as const
  ).find(([each]) => budget.bytes % each === 0) ?? [1, 'B'];
  return `size-${budget.bytes / unit}${name}`;
}

interface FormProposal {
  readonly form: FormCosts;
  readonly proposal: Proposal;
}

/** The best proposals over all forms; `excess` is what a model has to be below the budget, in the budget's unit. */
function proposalsFor(
  budget: Budget,
  context: FindContext,
  { excess, count }: { readonly excess: number; readonly count: number },
): FormProposal[] {
  const all = context.forms.flatMap((form) => {
    const { savingOf, needed } = termsOf(budget, form, context.latencies);
    const { narrow } = form;
    return proposeStudents(context.scores, savingOf, { needed: needed + excess, count, narrow }).map((proposal) => ({
      form,
      proposal,
    }));
  });
  const noiseOfAll = ({ form, proposal }: FormProposal) => form.noise + proposal.noise;
  return all.toSorted((a, b) => noiseOfAll(a) - noiseOfAll(b)).slice(0, count);
}

/** Fits the proposals as whole models and takes the one whose answers are best on text that none was fitted to. */
async function bestOf(proposals: readonly FormProposal[], budget: Budget, context: FindContext) {
  const { space, fitted, chosen, expected, run } = context;
  const found: (FormProposal & { readonly graph: Graph; readonly noise: number })[] = [];
  for (const [i, each] of proposals.entries()) {
    const graph = copyGraph(space.teacher);
    const progress = within(run, `fitting ${nameOf(budget)}, model ${i + 1} of ${proposals.length}`);
    await fitChanges(graph, each.proposal.changes, space, { runs: fitted, progress });
    found.push({ ...each, graph, noise: noiseOf(expected, await answersOf(graph, chosen)) });
  }
  return found.reduce((best, each) => (storedNoise(each) < storedNoise(best) ? each : best));
}

/** Error of a fitted model as it will be stored. */
function storedNoise({ form, proposal, noise }: FormProposal & { readonly noise: number }): number {
  return noise + form.noise + proposal.narrowNoise;
}

function timed(path: string, { reference, space, run }: FindContext): Promise<SpeedResult> {
  run.progress(`timing ${path}`);
  return compareSpeed(reference, path, { reference: space.teacher, maxPositions: space.maxPositions });
}

/** How much a written model is above its budget, with a margin; 0 or less where it meets it. */
function overBudget(budget: Budget, { bytes, speed }: { readonly bytes: number; readonly speed: SpeedResult }): number {
  const [measured, limit] = budget.kind === 'size' ? [bytes, budget.bytes] : [1 / speed.speedup, budget.ratio];
  return measured <= limit ? 0 : measured - limit + MARGIN * limit;
}

async function described(
  {
    graph,
    proposal,
    form,
    noise,
    ...found
  }: FormProposal & {
    readonly budget: Budget;
    readonly path: string;
    readonly graph: Graph;
    readonly noise: number;
    readonly bytes: number;
    readonly speed: SpeedResult;
  },
  context: FindContext,
): Promise<FoundModel> {
  const { space } = context;
  const [before, after] = [space.teacher, graph].map((each) => amountsOf(each, space.maxPositions).operations);
  return {
    ...found,
    noise: storedNoise({ form, proposal, noise }),
    form: form.form,
    operations: (after as number) / (before as number),
    expectedNoise: form.noise + proposal.noise,
    heldOut: await measured(found.path, context),
    layers: summarize(space.blocks, proposal.changes, form.form === 'mixed' ? proposal.narrow : undefined),
    wordColumns: wordColumnsOf(proposal.changes),
    isOnFront: false,
  };
}

async function measured(path: string, context: FindContext): Promise<HeldOut | undefined> {
  const { samples, feeds, reference, inputs, run } = context;
  const { proof, labels } = samples;
  if (proof.length === 0) return undefined;
  const progress = within(run, 'comparing with the teacher');
  const compared = await compareFiles(reference, path, inputs, { ...feeds, rows: proof, labels, progress });
  return heldOutOf(compared, proof.length);
}

/** Says how small models of this teacher become. */
function leastText(budget: Budget, { forms, scores, latencies }: FindContext): string {
  const least = Math.min(...forms.map((form) => leastOf(budget, form, { scores, latencies })));
  const names = forms.map(({ form }) => form).join(', ');
  const what = budget.kind === 'size' ? `${(least / 1e6).toFixed(2)} MB` : `${least.toFixed(3)} of the teacher's time`;
  return `no model met it as measured; the least is expected at ${what} in ${names}`;
}
