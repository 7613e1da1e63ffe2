import type { Graph } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { randomSequences } from '../../samples/token-sequences.ts';

/** Speed of two files that ran in turns, so that a machine that slows down slows both. */
export interface SpeedResult {
  readonly runtime: string;
  /** The size of the inputs, e.g. [1, 64]. */
  readonly shape: readonly number[];
  readonly rounds: number;
  /** Median of the ratios of CPU time, one thread, original / changed: above 1 the changed file is faster. */
  readonly speedup: number;
  /** First and third quartile of these ratios: a quarter of the rounds had a smaller ratio, a quarter a larger one. */
  readonly quartiles: readonly [number, number];
}

const WARM_UP = 3;
const ROUNDS = 40;
/** Length of a sequence where the input leaves it open: that of a usual sentence. */
const SEQUENCE = 64;

/**
 * Times both files on seeded token sequences. `reference` tells which ids there are, `maxPositions` how many tokens a
 * sequence may have.
 */
export async function compareSpeed(
  original: string | Uint8Array,
  changed: string | Uint8Array,
  { reference, maxPositions }: { readonly reference: Graph; readonly maxPositions: number },
): Promise<SpeedResult> {
  const runtime = runtimeFor(changed);
  const sessions: RuntimeSession[] = [];
  try {
    for (const file of [original, changed]) sessions.push(await runtime.load(file, { threads: 1 }));
    const [before, after] = sessions as [RuntimeSession, RuntimeSession];
    const { shape, feeds } = feedsFor(after, reference, Math.min(SEQUENCE, maxPositions));
    const ratios: number[] = [];
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const [a, b] = [await cpuTime(before, feeds), await cpuTime(after, feeds)];
      if (round >= WARM_UP) ratios.push(a / b);
    }
    ratios.sort((a, b) => a - b);
    const at = (share: number) => ratios[Math.floor(share * (ratios.length - 1))] as number;
    return {
      runtime: `${runtime.name} ${await runtime.version()}`,
      shape,
      rounds: ROUNDS,
      speedup: at(0.5),
      quartiles: [at(0.25), at(0.75)],
    };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/** CPU time of one run, in microseconds of the whole process, the runtime's thread included. */
async function cpuTime(session: RuntimeSession, feeds: ReadonlyMap<string, Tensor>): Promise<number> {
  const start = process.cpuUsage();
  await session.run(feeds);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

function feedsFor({ inputs }: RuntimeSession, reference: Graph, length: number) {
  const declared = inputs[0]?.shape ?? [];
  const shape = declared.map((dim, axis) => {
    if (typeof dim === 'number' && dim > 0) return dim;
    return axis === declared.length - 1 ? length : 1;
  });
  const all = randomSequences({
    shape,
    seed: 1,
    vocabSize: tableRows(reference, 'input_ids'),
    tokenTypes: tableRows(reference, 'token_type_ids'),
  });
  const feeds = new Map(inputs.map(({ name }) => [name, all.get(tokenInput(name)) as Tensor]));
  return { shape, feeds };
}
