import type { Graph } from '../../ir/graph.ts';
import { FORMS } from '../../options/forms.ts';
import type { Block } from './blocks.ts';

/** Forms that a search may store a model in: `mixed` has 4 or 8 bits for each layer. */
export const SEARCH_FORMS = [...FORMS, 'mixed'] as const;
export type SearchForm = (typeof SEARCH_FORMS)[number];

/** How a model is stored. */
export interface Storage {
  readonly form: SearchForm;
  /** Layers whose linears have 4 bits; empty but for `mixed`. */
  readonly narrow: readonly number[];
}

/** Names, for a recipe, of the linears that have 8 bits in a file of 4: those of all other layers. */
export function wideLinears(graph: Graph, blocks: readonly Block[], narrow: readonly number[]): string[] {
  const inside = new Set(blocks.flatMap(({ layer, nodes }) => (narrow.includes(layer) ? [] : [...nodes])));
  return graph
    .nodes()
    .filter(({ op, name }) => op === 'linear' && inside.has(name))
    .map(({ name }) => name);
}

/** Writes the recipe that gives linears 8 bits. What several become has the name of the first, and the others behind a +. */
export function wideRecipe(names: readonly string[]): string {
  const escaped = names.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  const match = `^(${escaped.join('|')})($|\\+)`;
  const rule = { match, op: 'linear', scheme: 'dynamic', granularity: 'channel', rounding: 'nearest' };
  return JSON.stringify(names.length === 0 ? [] : [rule]);
}
