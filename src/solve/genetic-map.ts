import { randomNumbers } from './random-numbers.ts';

/** A problem whose solutions are rising maps of `rows` rows to columns. */
export interface GeneticProblem {
  readonly rows: number;
  readonly columns: number;
  /** Maps that the first generation has besides random ones. */
  readonly firsts: readonly (readonly number[])[];
  readonly seed: number;
  /** Maps of a generation. */
  readonly population: number;
  readonly generations: number;
  /** Scores maps that were not scored before; less is better. */
  readonly score: (maps: readonly (readonly number[])[]) => Promise<readonly number[]>;
}

/** What a search found. */
export interface GeneticResult {
  readonly map: readonly number[];
  readonly score: number;
  /** Number of different maps that were scored. */
  readonly scored: number;
}

/** Maps of a generation that pass into the next one as they are. */
const ELITE = 2;

/** Maps that are drawn to find a parent: the best of them is one. */
const TOURNAMENT = 3;

/** Share of children in which one column is drawn anew. */
const MUTATED = 0.5;

/** Draws of a child until it is one that was not scored yet. */
const DRAWS = 20;

/**
 * Searches for the best rising map by a genetic algorithm: parents win tournaments, a child takes its columns from those
 * of both, now and then a column is drawn anew. The best maps stay, so that no result is worse than the first ones. Same
 * seed, same scores, same result. Ends early where every map there is was scored.
 */
export async function geneticMap(problem: GeneticProblem): Promise<GeneticResult> {
  const { rows, columns, firsts, population, generations } = problem;
  const random = randomNumbers(problem.seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const scores = new Map<string, { readonly map: readonly number[]; readonly score: number }>();
  const all = binomial(columns, rows);
  const scoreNew = async (maps: readonly (readonly number[])[]) => {
    const fresh = [...new Map(maps.map((map) => [map.join(), map])).values()].filter((map) => !scores.has(map.join()));
    const found = await problem.score(fresh);
    for (const [i, map] of fresh.entries()) scores.set(map.join(), { map, score: found[i] as number });
  };
  const anyOf = (pool: readonly number[]) => {
    const left = [...pool];
    return Array.from({ length: rows }, () => left.splice(below(left.length), 1)[0] as number).sort((a, b) => a - b);
  };
  const places = Array.from({ length: columns }, (_, column) => column);
  const isNew = (map: readonly number[], others: readonly (readonly number[])[]) =>
    !scores.has(map.join()) && !others.some((other) => other.join() === map.join());
  const drawNew = (draw: () => readonly number[], others: readonly (readonly number[])[]) => {
    let map = draw();
    for (let i = 0; i < DRAWS && !isNew(map, others); i++) map = draw();
    return map;
  };
  let generation: (readonly number[])[] = [...new Map(firsts.map((map) => [map.join(), map])).values()];
  while (generation.length < Math.min(population, all)) generation.push(drawNew(() => anyOf(places), generation));
  await scoreNew(generation);
  const scoreOf = (map: readonly number[]) => scores.get(map.join())?.score ?? Number.POSITIVE_INFINITY;
  for (let g = 1; g < generations && scores.size < all; g++) {
    const ranked = generation.toSorted((a, b) => scoreOf(a) - scoreOf(b));
    const parent = () =>
      ranked[Math.min(...Array.from({ length: TOURNAMENT }, () => below(ranked.length)))] as number[];
    const child = () => {
      const both = [...new Set([...parent(), ...parent()])];
      const map = anyOf(both);
      const others = places.filter((column) => !map.includes(column));
      if (others.length > 0 && random() < MUTATED) map[below(rows)] = others[below(others.length)] as number;
      return map.sort((a, b) => a - b);
    };
    const next: (readonly number[])[] = ranked.slice(0, ELITE);
    while (next.length < population) next.push(drawNew(child, next));
    generation = next;
    await scoreNew(generation);
  }
  const [best] = [...scores.values()].toSorted((a, b) => a.score - b.score);
  return { map: best?.map ?? [], score: best?.score ?? Number.NaN, scored: scores.size };
}

/** The number of ways to choose `count` of `from`. */
function binomial(from: number, count: number): number {
  let ways = 1;
  for (let i = 1; i <= count; i++) ways = (ways * (from - count + i)) / i;
  return Math.round(ways);
}
