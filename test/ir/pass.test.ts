import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/ir/graph.ts';
import { any, op, scalar } from '../../src/ir/match.ts';
import { keepNothing, type Pass, rewrite, runPasses } from '../../src/ir/pass.ts';
import { graphText } from '../../src/ir/text.ts';
import { graphOf, after as textAfter } from '../core.ts';

const zero = () => scalar(0);

const doubleNegation = rewrite({
  name: 'double-negation',
  summary: '0 - (0 - x)  ->  x',
  keeps: 'bits',
  pattern: op('sub', [zero(), op('sub', [zero(), any('x')])]),
  replace: (_, { x }) => x,
});

const tanhToSigmoid = rewrite({
  name: 'tanh-to-sigmoid',
  summary: 'tanh(x)  ->  sigmoid(x)',
  keeps: 'shapes',
  pattern: op('tanh', [any('x')]),
  replace: (graph, { x }, root) =>
    x.op === 'input' ? `${x.name} comes from outside` : graph.add('sigmoid', [x], {}, root.name),
});

const negations = `graph g (x: f32[2])
  a = sub(z f32[] {0}, x)
  b = sub(z f32[] {0}, a)
  c = sub(z f32[] {0}, b)
  y = relu(c)
return y: y`;

describe('a rule', () => {
  test('takes the place of what its pattern fits', async () => {
    expect(await textAfter(doubleNegation, negations.replace('relu(c)', 'relu(b)'))).toMatchInlineSnapshot(`
      "graph g (x: f32[2])
        y = relu(x)  f32[2]
      return y: y"
    `);
  });

  test('sees what it has made itself: of three negations one is left', async () => {
    expect(await textAfter(doubleNegation, negations)).toMatchInlineSnapshot(`
      "graph g (x: f32[2])
        c = sub(z f32[] {0}, x)  f32[2]
        y = relu(c)  f32[2]
      return y: y"
    `);
  });

  test('counts its rewrites and says where and why it declined', async () => {
    const graph = graphOf(`graph g (x: f32[2])
  a = tanh(x)
  b = relu(x)
  c = tanh(b)
return a: a, c: c`);
    const [report] = await runPasses(graph, [tanhToSigmoid]);
    expect(report).toEqual({ pass: tanhToSigmoid, rewrites: 1, declined: ['a: x comes from outside'] });
    expect(graph.nodes().map(({ name, op: kind }) => `${name} ${kind}`)).toEqual([
      'x input',
      'a tanh',
      'b relu',
      'c sigmoid',
    ]);
  });

  test('leaves alone what the user keeps, and says nothing of it', async () => {
    const text = 'graph g (x: f32[2])\n b = relu(x)\n c = tanh(b)\n d = tanh(x)\nreturn c: c, d: d';
    const graph = graphOf(text);
    const [report] = await runPasses(graph, [tanhToSigmoid], { keeps: ({ name }) => name === 'c' || name === 'd' });
    expect(report).toMatchObject({ rewrites: 0, declined: [] });
    expect(graphText(graph)).toBe(await textAfter([], text));
  });
});

describe('runPasses', () => {
  const named = (name: string, run: Pass['run']): Pass => ({ name, summary: '', keeps: 'bits', run });
  const nothing = { rewrites: 0, declined: [] };

  test('runs passes in order, one after the other', async () => {
    const seen: string[] = [];
    const slow = named('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push('slow');
      return nothing;
    });
    const quick = named('quick', () => {
      seen.push('quick');
      return { rewrites: 3, declined: ['x: why'] };
    });
    const reports = await runPasses(graphOf('graph g (x: f32[2])\nreturn y: x'), [slow, quick]);
    expect(seen).toEqual(['slow', 'quick']);
    expect(reports).toEqual([
      { ...nothing, pass: slow },
      { rewrites: 3, declined: ['x: why'], pass: quick },
    ]);
  });

  test('forgets what a pass built and did not use', async () => {
    const graph = graphOf('graph g (x: f32[2])\n y = relu(x)\nreturn y: y');
    const [x] = graph.inputs as [Node];
    const wasteful = named('wasteful', (on) => {
      on.add('tanh', [x]);
      return nothing;
    });
    await runPasses(graph, [wasteful]);
    expect([...x.users].map(({ name }) => name)).toEqual(['y']);
  });

  test('blames the pass that leaves an invalid graph, and runs none behind it', async () => {
    const graph = graphOf('graph g (x: f32[2])\n y = relu(x)\nreturn y: y');
    const broken = named('broken', (on) => {
      on.setType(on.outputs[0]?.node as Node, { dtype: 'f32', shape: [3] });
      return nothing;
    });
    const never = named('never', () => {
      throw new Error('was run');
    });
    await expect(runPasses(graph, [broken, never])).rejects.toMatchObject({
      code: 'INVALID_GRAPH',
      message: 'broken: y: is f32[3], its inputs make f32[2]',
    });
  });

  test('keeps values that are stored as integers from passes, but not weights', async () => {
    const graph = graphOf(`graph g (x: f32[2])
  q = quantize(x)  i8[2] q(0.5, 0)
  y = add(q, w i8[2] q(0.25, 0) {1, 2})
return y: y`);
    const kept = new Map<string, boolean>();
    const asking = named('asking', (on, { keeps }) => {
      for (const node of on.nodes()) kept.set(node.name, keeps(node));
      return nothing;
    });
    await runPasses(graph, [asking], { keeps: ({ name }) => name === 'x' });
    expect(Object.fromEntries(kept)).toEqual({ x: true, q: true, w: false, y: false });
    await runPasses(graph, [asking], keepNothing);
    expect(kept.get('x')).toBe(false);
  });
});
