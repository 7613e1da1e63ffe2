import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { type Pass, runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { canonicalPasses, unfoldingPasses } from '../../src/passes/canonical/canonical.ts';
import { forwardBias } from '../../src/passes/canonical/forward-bias.ts';
import { graphOf, randomTensor } from '../core.ts';

/** The ops of a graph after passes, whose outputs must be what they were before. */
async function linesAfter(passes: readonly Pass[], text: string): Promise<string[]> {
  const [before, graph] = [graphOf(text), graphOf(text)];
  await runPasses(graph, passes);
  const x = randomTensor({ dtype: 'f32', shape: [3, 4] }, 5);
  const [wanted, found] = [evaluate(before, new Map([['x', x]])), evaluate(graph, new Map([['x', x]]))];
  for (const [name, tensor] of wanted) {
    const [a, b] = [readF32(tensor), readF32(found.get(name) as Tensor)];
    for (const [i, value] of a.entries()) expect(b[i]).toBeCloseTo(value, 4);
  }
  const lines = graphText(graph)
    .split('\n')
    .filter((line) => line.includes(' = '));
  return lines.map((line) => line.trim().replace(/ +f32\[[\d, ]+\]( #\w+| \{[^}]*\}|$)/g, ''));
}

const linear = (name: string, x: string, seed: number) =>
  `  ${name} = linear(${x}, ${name}.w f32[4, 4] #${seed}, ${name}.b f32[4] #${seed + 1})`;

describe('read-behind-norm', () => {
  test('a linear beside a norm of the same value reads the norm', async () => {
    const text = `graph g (x: f32[3, 4])
${linear('a', 'x', 1)}
  norm = noNorm(a, norm.gamma f32[4] #3, norm.beta f32[4] #4)
${linear('up', 'a', 5)}
  sum = add(up, norm)
return y: sum`;
    expect(await linesAfter(unfoldingPasses, text)).toMatchInlineSnapshot(`
      [
        "a = linear(x, a.w, a.b)",
        "norm = noNorm(a, norm.gamma, norm.beta)",
        "up = linear(norm, up.w, up.b)",
        "sum = add(up, norm)",
      ]
    `);
  });

  test('not where a gain is next to nothing', async () => {
    const text = `graph g (x: f32[3, 4])
  norm = noNorm(x, norm.gamma f32[4] {1, 1, 1e-09, 1}, norm.beta f32[4] #4)
${linear('up', 'x', 5)}
  sum = add(up, norm)
return y: sum`;
    expect((await linesAfter(unfoldingPasses, text)).find((line) => line.startsWith('up'))).toContain('linear(x,');
  });
});

describe('forward-bias', () => {
  test('what only a linear reads hands its bias on', async () => {
    const text = `graph g (x: f32[3, 4])
${linear('a', 'x', 1)}
${linear('b', 'a', 5)}
return y: b`;
    expect(await linesAfter([forwardBias, ...canonicalPasses], text)).toEqual([
      'a = linear(x, a.w)',
      'b = linear(a, b.w, b.b)',
    ]);
  });

  test('a slice hands on what it reads, and the rest stays', async () => {
    const text = `graph g (x: f32[3, 4])
  a = linear(x, a.w f32[8, 4] #1, a.b f32[8] #2)
  left = slice(a) {axis: -1, end: 4}
  right = slice(a) {axis: -1, start: 4, end: 8}
${linear('b', 'left', 5)}
  c = relu(right)
  sum = add(b, c)
return y: sum`;
    expect(await linesAfter([forwardBias, ...canonicalPasses], text)).toMatchInlineSnapshot(`
      [
        "a = linear(x, a.w, a.b)",
        "left = slice(a) {axis: -1, end: 4}",
        "b = linear(left, b.w, b.b)",
        "right = slice(a) {axis: -1, start: 4, end: 8}",
        "c = relu(right)",
        "sum = add(b, c)",
      ]
    `);
  });

  test.each([
    ['an activation stands between', '{activation: relu}', ''],
    ['something else reads it', '', ', z: a'],
  ])('nothing moves where %s', async (_, activation, output) => {
    const text = `graph g (x: f32[3, 4])
${linear('a', 'x', 1)} ${activation}
${linear('b', 'a', 5)}
return y: b${output}`;
    expect((await linesAfter([forwardBias, ...canonicalPasses], text))[0]).toMatch(/^a = linear\(x, a\.w, a\.b\)/);
  });
});
