import { join } from 'node:path';
import { openRuns } from '../../calibration/token-runs.ts';
import { MbertError } from '../../errors.ts';
import { digest } from '../../ir/fingerprint.ts';
import type { Graph } from '../../ir/graph.ts';
import { usualSizes } from '../../ir/operation-costs.ts';
import { keepNothing, runPasses } from '../../ir/pass.ts';
import { graphText } from '../../ir/text.ts';
import { classReaderOf } from '../../opened/class-labels.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { evidenceOf } from '../../options/evidence.ts';
import { formsIn } from '../../options/forms.ts';
import { type Run, startRun, within } from '../../options/run.ts';
import { foldConstants } from '../../passes/fold-constants.ts';
import { fuseLinear } from '../../passes/fuse-linear.ts';
import { planPruning } from '../../passes/prune/prune-plan.ts';
import { countTokens } from '../../samples/count-tokens.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { rowsDigest } from '../../samples/rows-digest.ts';
import { VERSION } from '../../version.ts';
import { onFront } from '../compare/front.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { type SampleSets, takeSamples } from '../evaluate/sample-sets.ts';
import { gradientTokens } from '../training/gradient-memory.ts';
import { allOrNothing } from '../write/all-or-nothing.ts';
import { replacedFiles } from '../write/replaced-files.ts';
import { findBlocks } from './blocks.ts';
import { budgetsOf, refuseOptions } from './budgets.ts';
import { type Candidate, listCandidates } from './changes.ts';
import { findModel, pathOf } from './find-models.ts';
import { measureForms } from './form-costs.ts';
import { measureLatencies } from './latency.ts';
import { amountsOf, answersOf, type Score, Scorer } from './score-candidates.ts';
import { mergeScores, scoreShard, scoresIdentity, scoresPath } from './shards.ts';
import type { Space } from './space.ts';
import { SEARCH_FORMS, type SearchForm } from './storage.ts';
import type { Budget, FoundModel, MissedBudget, SearchOptions, SearchResult } from './types.ts';
import { type WritingContext, withWritten } from './write-student.ts';

/** Texts that are fitted to and chosen by: as many as for the passes that are fitted. */
const DEFAULT_SAMPLES = 768;
/** One of so many texts is not fitted to: models are chosen by these. */
const CHOOSING = 6;
/** Texts that each candidate is fitted to, and those that it is scored on: enough to tell candidates apart. */
const CANDIDATE_TEXTS = 192;
const SCORED_TEXTS = 64;
/** Fewest texts: below that there is nothing to choose by. */
const LEAST_TEXTS = 12;
/** Longest text, in tokens. */
const MAX_LENGTH = 128;

/**
 * Searches for students of a teacher within budgets of size or time: blocks are changed one by one, fitted and scored,
 * the best joins are fitted as whole models, written, and measured. Throws MbertError: USAGE for options that do not fit
 * or texts that are missing, MISMATCH for nodes to keep that are not there, UNSUPPORTED for a teacher without layers. A failure leaves no model behind, and keeps the
 * scores.
 */
export async function search(options: SearchOptions): Promise<SearchResult> {
  refuseOptions(options);
  const budgets = budgetsOf(options);
  const forms = formsFor(options);
  const { fileFormat: target = 'onnx' } = options;
  const plans = budgets.map((budget) => ({ target, path: pathOf(budget, options.output, target) }));
  const run = startRun(options);
  const replaced = options.shard ? [] : replacedFiles(plans, options);
  for (const note of replaced) run.note(note);
  run.plan(['read', 'weigh', 'score', ...(options.shard ? [] : ['find'])]);
  run.progress('reading');
  const model = await openModel(options.source, { task: options.task });
  try {
    const teacher = model.reference();
    await runPasses(teacher, [foldConstants, fuseLinear], keepNothing);
    refuseKeptNothing(teacher, options);
    const { samples, feeds } = readTexts(model, teacher, options, run);
    const texts = partsOf(samples.calibration);
    run.enter('weigh');
    const space = await spaceOf(model, teacher, { rows: texts.fitted, pad: feeds.pad, keeps: keepsOf(options), run });
    const candidates = listCandidates(teacher, space.blocks, keepsOf(options));
    if (candidates.length === 0) throw noCandidates(teacher, space);
    const identity = scoresIdentity(
      [VERSION, CANDIDATE_TEXTS, SCORED_TEXTS],
      [digest(new TextEncoder().encode(graphText(teacher))), rowsDigest(samples.calibration)],
    );
    run.enter('score');
    const scores = await scoresOf(options, space, { candidates, identity, texts, pad: feeds.pad, run });
    const { shard } = options;
    const common = {
      source: options.source,
      output: options.output,
      candidates: candidates.length,
      calibration: samples.manifest,
      warnings: [...model.warnings, ...samples.warnings, ...space.plan.declined],
    };
    const { operations } = amountsOf(teacher, model.maxPositions);
    if (shard) {
      const path = scoresPath(options.output, shard);
      const part = { ...shard, scored: scores.length, path };
      return { ...common, teacher: { bytes: null, operations }, shard: part, models: [], missed: [] };
    }
    run.enter('find');
    const writing: WritingContext = {
      target,
      model,
      source: options.source,
      blocks: space.blocks,
      evidence: evidenceFor(options),
      fitted: samples.manifest ? [samples.manifest] : [],
      run,
    };
    const found = await allOrNothing(plans, () =>
      withWritten(teacher, { form: 'f32', narrow: [] }, writing, async ({ path: reference, bytes }) => {
        const results = await findAll(budgets, forms, {
          space,
          scores,
          texts,
          samples,
          feeds,
          writing,
          reference,
          inputs: model.build(target),
          run,
          output: options.output,
        });
        return { bytes, results };
      }),
    );
    const models = found.results.filter((each) => 'path' in each);
    return {
      ...common,
      teacher: { bytes: found.bytes, operations },
      shard: undefined,
      models: marked(models),
      missed: found.results.filter((each) => 'reason' in each),
    };
  } finally {
    model.close();
  }
}

function formsFor({ forms, latencyRatios }: SearchOptions): readonly SearchForm[] {
  if (forms !== undefined) return formsIn(SEARCH_FORMS, forms);
  return latencyRatios === undefined ? ['f32', 'f16', 'dynamic'] : ['f32'];
}

function readTexts(model: OpenedModel, teacher: Graph, options: SearchOptions, run: Run) {
  const evidence = evidenceOf(options, DEFAULT_SAMPLES);
  const fixed = teacher.inputs[0]?.type.shape.at(-1);
  const reader = rowReader(model, teacher, {
    maxLength: typeof fixed === 'number' ? fixed : Math.min(MAX_LENGTH, model.maxPositions),
    seed: options.seed,
    columns: evidence.columns,
    note: run.note,
  });
  const samples = takeSamples(reader, { evidence, task: model.task, classOf: classReaderOf(model, teacher) });
  if (samples.calibration.length < LEAST_TEXTS) {
    throw new MbertError(
      'USAGE',
      `${options.calibrate}: ${samples.calibration.length} texts are too few to choose by`,
      {
        hint: `give ${LEAST_TEXTS} and more, better some hundreds`,
      },
    );
  }
  const { pad, mask } = reader.tokenizer;
  return { samples, feeds: { task: model.task, logitsKind: model.logitsKind, pad, mask } };
}

/** What files are calibrated on. What `keep` leaves uncut is stored as the form says. */
function evidenceFor({
  calibrate,
  data,
  allowOverlap,
  seed,
  text,
  pair,
  label,
}: SearchOptions): WritingContext['evidence'] {
  return { calibrate, data, allowOverlap, seed, text, pair, label };
}

/** Texts by what they are used for. */
interface Texts {
  readonly fitted: readonly TokenRow[];
  readonly chosen: readonly TokenRow[];
}

function partsOf(rows: readonly TokenRow[]): Texts {
  const chosen = Math.ceil(rows.length / CHOOSING);
  return { fitted: rows.slice(0, -chosen), chosen: rows.slice(-chosen) };
}

async function spaceOf(
  model: OpenedModel,
  teacher: Graph,
  {
    rows,
    pad,
    keeps,
    run,
  }: { readonly rows: readonly TokenRow[]; readonly pad: number; readonly keeps: Keeps; readonly run: Run },
): Promise<Space> {
  const { maxPositions } = model;
  const runs = await openRuns(teacher, rows, { pad, batchTokens: gradientTokens(teacher) });
  try {
    const plan = await planPruning(teacher, {
      keeps,
      runs,
      bindings: usualSizes(teacher, maxPositions),
      runtime: 'onnx',
      progress: within(run, 'weighing heads and neurons'),
    });
    return { teacher, maxPositions, plan, blocks: findBlocks(teacher, plan), tokenCounts: countTokens(rows) };
  } finally {
    await runs.close();
  }
}

type Keeps = (node: { readonly name: string }) => boolean;

function keepsOf({ keep }: SearchOptions): Keeps {
  return ({ name }) => keep?.test(name) ?? false;
}

/** Throws MISMATCH where `keep` names no node: what was meant to be kept would be cut. */
function refuseKeptNothing(teacher: Graph, { keep }: SearchOptions): void {
  if (keep === undefined || teacher.nodes().some(({ name }) => keep.test(name))) return;
  throw new MbertError('MISMATCH', `--keep ${keep.source}: ${teacher.name} has no node with such a name`, {
    hint: 'mbert inspect prints the names',
  });
}

function noCandidates({ name }: Graph, { plan }: Space): MbertError {
  return new MbertError('UNSUPPORTED', `${name}: search finds nothing in it that could be smaller`, {
    hint: plan.declined[0] ?? 'it takes encoders of attentions and feed-forward networks with constant weights',
  });
}

async function scoresOf(
  { output, shard, merge }: SearchOptions,
  space: Space,
  {
    candidates,
    identity,
    texts,
    pad,
    run,
  }: {
    readonly candidates: readonly Candidate[];
    readonly identity: string;
    readonly texts: Texts;
    readonly pad: number;
    readonly run: Run;
  },
): Promise<readonly Score[]> {
  if (merge) return mergeScores(output, candidates, identity);
  const fitted = await openRuns(space.teacher, texts.fitted.slice(0, CANDIDATE_TEXTS), { pad });
  const scored = await openRuns(space.teacher, texts.chosen.slice(0, SCORED_TEXTS), { pad });
  try {
    const scorer = new Scorer(space, { fitted, scored });
    return await scoreShard(output, candidates, {
      shard: shard ?? { index: 1, count: 1 },
      identity,
      score(candidate, done, total) {
        run.progress('scoring candidates', done, total);
        return scorer.score(candidate);
      },
    });
  } finally {
    await fitted.close();
    await scored.close();
  }
}

interface FindOptions {
  readonly space: Space;
  readonly scores: readonly Score[];
  readonly texts: Texts;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  readonly writing: WritingContext;
  readonly reference: string;
  readonly inputs: Graph;
  readonly run: Run;
  readonly output: string;
}

async function findAll(
  budgets: readonly Budget[],
  forms: readonly SearchForm[],
  options: FindOptions,
): Promise<(FoundModel | MissedBudget)[]> {
  const { space, scores, texts, feeds, writing, reference, inputs, run, output } = options;
  run.progress('measuring forms');
  const isTimed = budgets.some(({ kind }) => kind === 'latency');
  const costs = await measureForms(space, forms, {
    scores,
    reference,
    inputs,
    rows: texts.chosen,
    feeds,
    isTimed,
    context: writing,
  });
  const latencies = isTimed
    ? await measureLatencies(space, scores, {
        path: join(output, 'latencies.json'),
        progress: within(run, 'timing layers'),
      })
    : undefined;
  const fitted = await openRuns(space.teacher, texts.fitted, { pad: feeds.pad });
  const chosen = await openRuns(space.teacher, texts.chosen, { pad: feeds.pad });
  try {
    const expected = await answersOf(space.teacher, chosen);
    const results: (FoundModel | MissedBudget)[] = [];
    for (const budget of budgets)
      results.push(await findModel(budget, { ...options, forms: costs, latencies, fitted, chosen, expected }));
    return results;
  } finally {
    await fitted.close();
    await chosen.close();
  }
}

/** Marks the models that no other one beats in size, time and loss. */
function marked(models: readonly FoundModel[]): FoundModel[] {
  const criteria = models.map(({ bytes, speed, heldOut, noise }) => ({
    format: 'onnx',
    bytes,
    ms: 1 / speed.speedup,
    lost: heldOut ? heldOut.drop : noise,
    failures: [],
  }));
  return models.map((model, i) => ({
    ...model,
    isOnFront: onFront(criteria[i] as (typeof criteria)[number], criteria),
  }));
}
