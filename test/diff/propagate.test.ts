import { expect, test } from 'vitest';
import { classesOf, Interner } from '../../src/diff/classes.ts';
import { readContents } from '../../src/diff/contents.ts';
import { Pairing } from '../../src/diff/pairing.ts';
import { propagate, readsTheSame } from '../../src/diff/propagate.ts';
import { numberValues, opName } from '../../src/diff/side.ts';
import { graphOf } from '../core.ts';

/** The pairs that follow from some, by name: `x=y`. */
function pairsFrom(textA: string, textB: string, known: readonly string[], allow?: typeof readsTheSame): string[] {
  const [a, b] = [graphOf(textA), graphOf(textB)];
  const pairing = new Pairing(numberValues(a), numberValues(b));
  const place = (side: 'a' | 'b', name: string) => pairing[side].values.findIndex((value) => value.name === name);
  const from = known.map((pair) => {
    const [x = '', y = ''] = pair.split('=');
    return [place('a', x), place('b', y)] as const;
  });
  for (const [x, y] of from) pairing.pair(x, y);
  const interner = new Interner();
  const classes = { a: classesOf(pairing.a, interner, opName), b: classesOf(pairing.b, interner, opName) };
  const tellers = [() => classes];
  propagate(pairing, from, { tellers, contents: readContents(a, b) }, allow);
  return pairing.pairs().map(([x, y]) => `${pairing.a.values[x]?.name}=${pairing.b.values[y]?.name}`);
}

const once = `graph g (p: f32[2], q: f32[2])
  x = relu(p)
  u = gelu(x)
  out = add(u, q)
return out: out`;

test('what both read at the same place is paired, and what reads both', () => {
  expect(pairsFrom(once, once, ['out=out'])).toEqual(['p=p', 'x=x', 'u=u', 'q=q', 'out=out']);
});

/** A second relu and gelu behind the first ones. */
const twice = `graph g (p: f32[2], q: f32[2])
  y = relu(p)
  w = gelu(y)
  z = relu(w)
  v = gelu(z)
  out = add(v, q)
return out: out`;

test('what reads the same comes before what is read alike: u goes with w, behind the same relu, not with v', () => {
  expect(pairsFrom(once, twice, ['p=p', 'q=q', 'out=out'])).toEqual(['p=p', 'x=y', 'u=w', 'q=q', 'out=out']);
});

test('only what reads the same is paired where nothing else may be', () => {
  const other = `graph g (p: f32[2], q: f32[2])
  y = gelu(p)
  v = gelu(y)
  out = add(v, q)
return out: out`;
  expect(pairsFrom(once, other, ['out=out', 'p=p', 'q=q'], readsTheSame)).toEqual(['p=p', 'q=q', 'out=out']);
  expect(pairsFrom(once, other, ['out=out', 'p=p', 'q=q'])).toEqual(['p=p', 'u=v', 'q=q', 'out=out']);
});

test('two that are as good as each other are left apart', () => {
  const forked = `graph g (p: f32[2])
  x = relu(p)
  u = relu(p)
  out = sub(x, u)
return out: out`;
  const one = `graph g (p: f32[2])
  x = relu(p)
  out = tanh(x)
return out: out`;
  expect(pairsFrom(forked, one, ['p=p'])).toEqual(['p=p']);
});
