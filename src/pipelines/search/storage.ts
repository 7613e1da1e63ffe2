import type { Call, Graph } from '../../ir/graph.ts';
import { FORMS } from '../../options/forms.ts';
import { hasWeight, isFront, isNarrow } from '../../quantization/settings.ts';
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

/**
 * Writes the recipe that gives 8 bits to all linears but those of the narrow layers, in a file of 4. A layer is told
 * by what the names of its linears begin with, or, where others begin so too, by all of these names; what several linears
 * become has the name of the first, and the others behind a +. Linears outside the layers, as a pooler, are told by their
 * names; those that every file keeps in floats stay so.
 */
export function wideRecipe(graph: Graph, blocks: readonly Block[], narrow: readonly number[]): string {
  const linears = graph.nodes().filter((node): node is Call<'linear'> => node.op === 'linear');
  const names = linears.map(({ name }) => name);
  const matches = blocks.flatMap(({ layer, nodes }) => {
    const own = names.filter((name) => nodes.has(name));
    if (own.length === 0 || narrow.includes(layer)) return [];
    const start = commonStart(own);
    const isOwn = start !== '' && names.every((name) => nodes.has(name) || !name.startsWith(start));
    return [isOwn ? `^${escaped(start)}` : anyOf(own)];
  });
  const outside = linears.filter(
    (node) => hasWeight(node) && !isNarrow(node) && !isFront(node) && !blocks.some(({ nodes }) => nodes.has(node.name)),
  );
  if (outside.length > 0) matches.push(anyOf(outside.map(({ name }) => name)));
  return JSON.stringify(
    matches.map((match) => ({
      match,
      op: 'linear',
      scheme: 'dynamic',
      granularity: 'channel',
      rounding: 'nearest',
    })),
  );
}

function anyOf(names: readonly string[]): string {
  return `^(${names.map(escaped).join('|')})($|\\+)`;
}

function commonStart([first = '', ...others]: readonly string[]): string {
  let length = first.length;
  while (!others.every((name) => name.startsWith(first.slice(0, length)))) length--;
  return first.slice(0, length);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
