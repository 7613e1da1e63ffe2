import type { Node } from '../ir/graph.ts';
import { add, type Builder, indices } from './builder.ts';
import type { ClaimedSize, ConfigReader } from './config.ts';
import { range } from './parts.ts';

/** Longest context that an encoder is published with; tables by place or distance are made for all of it. */
const MAX_PLACES = 2 ** 17;

/** Reads `max_position_embeddings` of a model whose weights do not show it. */
export function readPlaces(config: ConfigReader, fallback: number): ClaimedSize {
  const places = config.size('max_position_embeddings', fallback);
  refuseFar(config, places);
  return places;
}

/** Refuses more positions than tables are made for. */
export function refuseFar(config: ConfigReader, { key, value }: ClaimedSize): void {
  if (value > MAX_PLACES) config.refuse(key, `${value} is over ${MAX_PLACES}, the longest that tables are made for`);
}

/** Longest sequence whose places are a constant: whole numbers up to here are exact in f16, as constants may be stored. */
const MOST_EXACT = 2048;

/**
 * Adds 0, 1, 2, … along the run's sequence, [1, sequence], of the type of token ids. Where only the run knows the length
 * it counts ones, so that there is no table whose end would be a limit.
 */
export function countPlaces(builder: Builder, name: string): Node {
  const { sequence, rows, tokenIds } = builder;
  if (typeof sequence === 'number' && sequence <= MOST_EXACT) {
    return indices(builder, name, range(0, sequence), [1, sequence]);
  }
  const number = (value: number, part: string) => indices(builder, `${name}.${part}`, [value], []);
  const first = { axis: 0, start: 0, end: 1 };
  const row = rows === 1 ? tokenIds : add(builder, `${name}.row`, 'slice', [tokenIds], first);
  const zeros = add(builder, `${name}.zeros`, 'mul', [row, number(0, 'zero')]);
  const ones = add(builder, `${name}.ones`, 'add', [zeros, number(1, 'one')]);
  const counted = add(builder, `${name}.counted`, 'cumulativeSum', [ones], { axis: 1 });
  return add(builder, name, 'sub', [counted, number(1, 'least')]);
}
