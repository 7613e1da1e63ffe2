import { existsSync } from 'node:fs';
import { MbertError } from '../../errors.ts';
import { digest } from '../../ir/fingerprint.ts';
import type { Graph } from '../../ir/graph.ts';
import { graphText } from '../../ir/text.ts';
import type { Run } from '../../options/run.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { rowsDigest } from '../../samples/rows-digest.ts';
import { geneticMap } from '../../solve/genetic-map.ts';
import { VERSION } from '../../version.ts';
import { openTrials, type Trials } from './distill-trials.ts';
import { costsOf, fitnessOf, type LayerPairs, mappingOf, meanAlong } from './mappings.ts';
import type { LayerMapping, MapLayersOptions, SearchSummary } from './types.ts';

/** Maps of a generation, and generations: some hundred trials of a half dozen layers, with half of all maps of 6 to 12. */
const POPULATION = 12;
const GENERATIONS = 10;

/** Steps of a trial: enough to tell maps apart, seconds of a small student. */
const STEPS = 40;

const DEFAULT_SEED = 1;

/** Throws USAGE for options of a search that is not asked for or cannot be had, and for scores that it would replace. */
export function checkSearch(options: MapLayersOptions): void {
  const { method = 'best', fitness, output, program, resume } = options;
  const ofSearch = ['population', 'generations'] as const;
  const ofTrials = ['steps', 'jobs', 'resume'] as const;
  for (const name of method === 'genetic' ? [] : ofSearch) refuse(name, options[name], '--method genetic');
  if (method !== 'genetic' && method !== 'best') refuse('fitness', fitness, '--method best and genetic');
  if (method !== 'genetic' && fitness === 'distill') {
    throw new MbertError('USAGE', '--fitness distill: is for --method genetic', {
      hint: 'a distillation is too dear to try every map, which best does',
    });
  }
  for (const name of fitness === 'distill' && method === 'genetic' ? [] : ofTrials)
    refuse(name, options[name], '--method genetic --fitness distill');
  if (fitness !== 'distill' || method !== 'genetic') return;
  if (program === undefined) throw new MbertError('USAGE', '--fitness distill: needs the program that runs mbert');
  if (output === undefined) {
    throw new MbertError('USAGE', '--fitness distill: needs -o FILE', {
      hint: 'scores are kept beside it while the search goes on, so that it can be resumed',
    });
  }
  if (!resume && existsSync(statePath(output))) {
    throw new MbertError('USAGE', `${statePath(output)}: holds the scores of a search that was interrupted`, {
      hint: 'say --resume to go on, or delete the file to begin anew',
    });
  }
}

/** The file that keeps scores beside the map. */
function statePath(output: string): string {
  return `${output}.trials`;
}

function refuse(name: string, given: unknown, needed: string): void {
  if (given !== undefined) throw new MbertError('USAGE', `--${name}: is for ${needed}`);
}

/** What is known of two models' layers. */
export interface KnownLayers {
  readonly graphs: { readonly teacher: Graph; readonly student: Graph };
  readonly pairs: LayerPairs;
  /** Maps of the other methods, which the first generation begins with. */
  readonly found: readonly LayerMapping[];
  readonly rows: readonly TokenRow[];
  /** SHA-256 of the file of texts: a distillation reads more of it. */
  readonly textsHash: string | undefined;
}

/** Searches for the map of the best fitness by a genetic algorithm. */
export async function searchMap(
  known: KnownLayers,
  options: MapLayersOptions,
  run: Run,
): Promise<{ readonly mapping: LayerMapping; readonly summary: SearchSummary }> {
  const { pairs, found } = known;
  const { seed = DEFAULT_SEED, population = POPULATION, generations = GENERATIONS } = options;
  const fitness = options.fitness === 'distill' ? 'distill' : fitnessOf(pairs);
  const most = population * generations;
  const trials = fitness === 'distill' ? trialsOf(known, options, run, most) : undefined;
  const costs = costsOf(pairs);
  const { map, score, scored } = await geneticMap({
    rows: costs.length,
    columns: costs[0]?.length ?? 0,
    firsts: found.map((mapping) => mapping.map),
    seed,
    population,
    generations,
    score: trials ? trials.score : async (maps) => maps.map((each) => meanAlong(costs, each)),
  });
  trials?.finish();
  return {
    mapping: mappingOf('genetic', map, pairs),
    summary: { fitness, score, scored, trials: trials?.trials ?? [] },
  };
}

function trialsOf(
  { graphs: { teacher, student }, rows, textsHash }: KnownLayers,
  options: MapLayersOptions,
  run: Run,
  most: number,
): Trials {
  const { steps = STEPS, seed = DEFAULT_SEED, jobs = 1, resume = false, text, pair, samples } = options;
  const reading = Object.entries({ text, pair, samples }).flatMap(([flag, name]) =>
    name === undefined ? [] : [`--${flag}`, String(name)],
  );
  const graphs = [teacher, student].map(graphText);
  const known = JSON.stringify([VERSION, steps, seed, reading, textsHash, rowsDigest(rows), ...graphs]);
  return openTrials({
    program: options.program as readonly [string, ...string[]],
    teacher: options.teacher,
    student: options.student,
    texts: options.calibrate as string,
    reading,
    steps,
    seed,
    jobs,
    statePath: statePath(options.output as string),
    identity: digest(new TextEncoder().encode(known)),
    resume,
    signal: options.signal,
    progress: (done) => run.progress('trying maps', done, most),
  });
}
