import { layerOf } from '../../ir/names.ts';
import type { StateMeaning } from './picture-nodes.ts';

/** What was measured behind a layer. */
export interface LayerMark {
  readonly text: string;
  readonly tone: LayerTone;
}

type LayerTone = 'far' | 'lowest' | 'near';

/** SQNR below which little of a value is left: 8-bit integers keep 28 to 50 dB. */
const FAR_DB = 20;

/** Layers that are marked in any case: where to look first. */
const LOWEST = 3;

/** Meanings of the tones that have a colour. */
export const LAYER_TONES: { readonly [T in Exclude<LayerTone, 'near'>]: StateMeaning } = {
  far: { symbol: '!', meaning: `layer with less than ${FAR_DB} dB behind it` },
  lowest: { symbol: '↓', meaning: `one of the ${LOWEST} layers with the lowest SQNR` },
};

/** Marks of layers by their names, of the SQNR in dB behind them; null, and infinity, is no error at all. */
export function layerMarks(
  layers: readonly { readonly name: string; readonly sqnrDb: number | null }[],
): ReadonlyMap<string, LayerMark> {
  const levels = new Map<string, number>();
  for (const { name, sqnrDb } of layers) {
    const layer = layerOf(name);
    if (layer !== undefined) levels.set(layer, sqnrDb ?? Number.POSITIVE_INFINITY);
  }
  const lowest = new Set(
    [...levels]
      .filter(([, level]) => level !== Number.POSITIVE_INFINITY)
      .sort(([, a], [, b]) => a - b)
      .slice(0, LOWEST)
      .map(([layer]) => layer),
  );
  // A NaN is no number of decibels: nothing is left.
  const toneOf = (layer: string, level: number): LayerTone =>
    !(level >= FAR_DB) ? 'far' : lowest.has(layer) && levels.size > LOWEST ? 'lowest' : 'near';
  return new Map([...levels].map(([layer, level]) => [layer, { text: levelText(level), tone: toneOf(layer, level) }]));
}

function levelText(level: number): string {
  if (level === Number.POSITIVE_INFINITY) return 'equal';
  return Number.isNaN(level) ? 'not a number' : `${level.toFixed(1)} dB`;
}
