import { expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import type { GraphDifference } from '../../src/diff/difference.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { graphText, parseGraph } from '../../src/ir/text.ts';
import { graphOf } from '../core.ts';
import { fc } from '../fast-check.ts';
import { CHANGES, EDITS } from './changes.ts';
import { bertText, edited } from './layers.ts';

/** What must be said of the other direction: sides swapped, numbers that are relative to a left out. */
function mirrored(difference: GraphDifference): unknown {
  return JSON.parse(JSON.stringify(difference), (key, value) => {
    if (key === 'change') return OPPOSITES[value] ?? value;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    const { a = null, b = null, from = null, to = null, ...rest } = value;
    return { ...rest, a: b, b: a, from: to, to: from };
  });
}

const OPPOSITES: { readonly [change: string]: string } = {
  added: 'removed',
  removed: 'added',
  'input-added': 'input-removed',
  'input-removed': 'input-added',
  'output-added': 'output-removed',
  'output-removed': 'output-added',
  zeroed: 'filled',
  filled: 'zeroed',
  rounded: 'unrounded',
  unrounded: 'rounded',
};

/** Without what depends on the direction. */
function comparable(difference: GraphDifference): GraphDifference {
  const { tensors, factors, ...rest } = difference as GraphDifference & { tensors?: unknown; factors?: unknown };
  const error =
    'error' in rest && rest.error ? { error: { maxAbs: rest.error.maxAbs, changed: rest.error.changed } } : {};
  const isSwap = rest.change === 'inputs-swapped' || rest.change === 'outputs-swapped';
  const names = isSwap ? { from: rest.from.toSorted(), to: rest.to.toSorted() } : {};
  return { ...rest, ...error, ...names } as GraphDifference;
}

function expectMirrored(a: Graph, b: Graph): void {
  const there = diffGraphs(a, b).differences.map((difference) => JSON.stringify(mirrored(comparable(difference))));
  // Mirrored twice, so that both have their keys in the same order.
  const back = diffGraphs(b, a).differences.map((difference) =>
    JSON.stringify(mirrored(mirrored(comparable(difference)) as GraphDifference)),
  );
  expect(there.sort()).toEqual(back.sort());
}

test.each(CHANGES)('$name: the other direction says the opposite', ({ a, b }) => {
  expectMirrored(a, b);
});

/** Some of the edits together, where they do not get in each other's way. */
const combination = fc.subarray([...EDITS], { minLength: 1, maxLength: 3 }).map((edits) => {
  let text = bertText();
  const done: string[] = [];
  for (const { name, replacements } of edits) {
    const changed = tryEdit(text, replacements);
    if (changed === null) continue;
    text = changed;
    done.push(name);
  }
  return { done, text };
});

function tryEdit(text: string, replacements: Parameters<typeof edited>[1][]): string | null {
  if (!replacements.every(([from]) => (typeof from === 'string' ? text.includes(from) : text.search(from) >= 0)))
    return null;
  const changed = edited(text, ...replacements);
  try {
    graphOf(changed);
    return changed;
  } catch {
    return null;
  }
}

test('several changes at once are each told, in both directions', () => {
  fc.assert(
    fc.property(combination, ({ done, text }) => {
      fc.pre(done.length > 0);
      const [a, b] = [graphOf(bertText()), graphOf(text)];
      expect(diffGraphs(b, graphOf(text)).differences).toEqual([]);
      expectMirrored(a, b);
      const alone = done.filter((name) => name !== 'operands of a commutative op in another order');
      expect(diffGraphs(a, b).differences.length).toBeGreaterThanOrEqual(Math.min(1, alone.length));
    }),
    { numRuns: 150, seed: 7 },
  );
});

/** New names for all nodes and constants. */
function renamed(text: string, seed: number): string {
  const names = new Map<string, string>();
  return text.replaceAll(
    /\b(?:l\d|layer\.\d|embeddings|head)\.[\w.]+|\b(?:words|types|embedded|start|attended|padding|low|mask|logits)\b(?!:)/g,
    (name) => {
      const known = names.get(name) ?? `v${(names.size * 7919 + seed) % 10007}`;
      names.set(name, known);
      return known;
    },
  );
}

test('names of nodes and constants do not matter, whatever they are', () => {
  fc.assert(
    fc.property(fc.nat(10006), combination, (seed, { text }) => {
      const plain = diffGraphs(graphOf(bertText()), graphOf(text));
      const other = diffGraphs(graphOf(bertText()), graphOf(renamed(text, seed)));
      // Whether values went with their names or without cannot be told where all names are new.
      const kinds = ({ differences }: typeof plain) =>
        differences.map(({ kind, change }) => `${kind} ${change === 'exchanged' ? 'moved' : change}`);
      expect(kinds(other)).toEqual(kinds(plain));
    }),
    { numRuns: 150, seed: 7 },
  );
});

test('graph text is as good as the graph that it was printed from', () => {
  for (const { name, a, b } of CHANGES) {
    const { differences } = diffGraphs(parseGraph(graphText(a)), b);
    const known = diffGraphs(a, b).differences;
    expect(differences.length > 0, name).toBe(known.length > 0);
    expect(diffGraphs(parseGraph(graphText(a)), a).differences, name).toEqual([]);
  }
});
