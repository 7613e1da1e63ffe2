import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { any, op } from '../../src/ir/match.ts';
import { type Attempt, keepNothing, type Pass, type PassObserver, rewrite, runPasses } from '../../src/ir/pass.ts';
import { trailOf } from '../../src/ir/pass-trail.ts';
import { graphText } from '../../src/ir/text.ts';
import { graphOf } from '../core.ts';

const TEXT = `graph g (x: f32[4])
  a = relu(x)
  b = relu(a)
  c = tanh(b)
return y: c`;

const merge = rewrite({
  name: 'merge-relu',
  summary: 'relu(relu(x))  ->  relu(x)',
  keeps: 'bits',
  pattern: op('relu', [op('relu', [any('x')])]),
  replace: (graph, { x }, root) => graph.add('relu', [x], {}, root.name),
});

const nothing = changing('nothing', () => undefined);

function changing(name: string, change: (graph: Graph) => void): Pass {
  return {
    name,
    summary: '',
    keeps: 'values',
    run(graph) {
      change(graph);
      return { rewrites: 0, declined: [] };
    },
  };
}

/** What an observer hears, as words. */
function listening(): { readonly heard: string[]; readonly observer: PassObserver } {
  const heard: string[] = [];
  const observer: PassObserver = {
    starts: (graph) => heard.push(`starts ${graph.nodes().length}`),
    after: (graph, pass, { rewrites }) => heard.push(`${pass} ${rewrites}, ${graph.nodes().length} left`),
  };
  return { heard, observer };
}

test('an observer hears the graph before the passes and behind each', async () => {
  const { heard, observer } = listening();
  await runPasses(graphOf(TEXT), [nothing, merge, nothing], { ...keepNothing, observers: [observer] });
  expect(heard).toEqual(['starts 4', 'nothing 0, 4 left', 'merge-relu 1, 3 left', 'nothing 0, 3 left']);
});

test('an observer changes nothing of what passes do', async () => {
  const [plain, observed] = [graphOf(TEXT), graphOf(TEXT)];
  const tried = () => undefined;
  const reports = await runPasses(plain, [merge]);
  expect(await runPasses(observed, [merge], { ...keepNothing, observers: [{ tried }] })).toEqual(reports);
  expect(graphText(observed)).toBe(graphText(plain));
});

describe('a rule tells of each node', () => {
  async function attempts(rule: Pass, keeps: (name: string) => boolean = () => false): Promise<string[]> {
    const heard: Attempt[] = [];
    const observer: PassObserver = { tried: (attempt) => heard.push(attempt) };
    await runPasses(graphOf(TEXT), [rule], { keeps: ({ name }) => keeps(name), observers: [observer] });
    return heard.map(({ name, outcome, fitted, reason }) => `${name} ${outcome} ${fitted}: ${reason}`);
  }

  test('what it rewrote and where it failed', async () => {
    expect(await attempts(merge)).toEqual([
      'x missed 0: is an input of the model (x), the pattern has a relu',
      'a missed 1: first input is an input of the model (x), the pattern has a relu',
      'b rewritten 3: ',
      'c missed 0: is a tanh (c), the pattern has a relu',
    ]);
  });

  test('what was to be kept', async () => {
    expect(await attempts(merge, (name) => name === 'b')).toContain(
      'b kept 3: is stored quantized, or to be left alone',
    );
  });

  test('what it declined', async () => {
    const shy = rewrite({
      name: 'shy',
      summary: '',
      keeps: 'bits',
      pattern: op('relu', [any('x')]),
      unless: (_, __, { name }) => (name === 'a' ? 'is none of its business' : null),
      replace: () => 'it does not dare',
    });
    const heard = await attempts(shy);
    expect(heard).toContain('a declined 2: is none of its business');
    expect(heard).toContain('b declined 2: it does not dare');
    const [report] = await runPasses(graphOf(TEXT), [shy]);
    expect(report?.declined).toEqual(['b: it does not dare']);
  });
});

describe('an error in a pass', () => {
  async function failure(pass: Pass): Promise<unknown> {
    try {
      await runPasses(graphOf(TEXT), [nothing, merge, pass, nothing]);
    } catch (cause) {
      return cause;
    }
    throw new Error('the pass did not fail');
  }

  const broken = changing('broken', (graph) => {
    const c = graph.outputs[0]?.node;
    if (c) graph.setType(c, { dtype: 'f32', shape: [5] });
  });

  test('that leaves a broken graph says behind which passes', async () => {
    const cause = await failure(broken);
    expect(cause).toMatchObject({ code: 'INVALID_GRAPH', message: 'broken: c: is f32[5], its inputs make f32[4]' });
    expect(trailOf(cause)).toEqual({ pass: 'broken', behind: ['nothing', 'merge-relu'] });
  });

  test('that is thrown stays the error that it was', async () => {
    const thrown = new TypeError('x is undefined');
    const cause = await failure(
      changing('throws', () => {
        throw thrown;
      }),
    );
    expect(cause).toBe(thrown);
    expect(trailOf(cause)).toEqual({ pass: 'throws', behind: ['nothing', 'merge-relu'] });
  });

  test('names the inner pass where passes run inside it', async () => {
    const outer: Pass = {
      ...nothing,
      name: 'outer',
      async run(graph) {
        await runPasses(graph, [nothing, broken]);
        return { rewrites: 0, declined: [] };
      },
    };
    expect(trailOf(await failure(outer))).toEqual({ pass: 'broken', behind: ['nothing'] });
  });

  test.each([
    ['an answer to the user', new MbertError('USAGE', 'needs text')],
    ['an error that takes nothing', Object.freeze(new Error('stop'))],
    ['what is no error', 'stop'],
  ])('%s carries no trail', async (_, thrown) => {
    const cause = await failure(
      changing('throws', () => {
        throw thrown;
      }),
    );
    expect(cause).toBe(thrown);
    expect(trailOf(cause)).toBeUndefined();
  });
});
