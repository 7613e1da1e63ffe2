import { expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { parseGraph } from '../../src/ir/text.ts';
import { bertText } from '../diff/layers.ts';
import { fc } from '../fast-check.ts';

const TEXT = `${bertText(1)}\n`.replace(
  'return',
  '  q = quantize(logits)  i8[batch, sequence, 2] q(0.5, -1)\n  z = linear(q, w i8[3, 2] q(axis 0, #9c1f02ab, #77ab3e10) #12345678)\nreturn "the third": z,',
);

/** Parses it or says where it is wrong. */
function expectAnswer(text: string): void {
  try {
    parseGraph(text);
  } catch (cause) {
    expect(cause, text).toBeInstanceOf(MbertError);
  }
}

test('text that was damaged is refused, whatever the damage', () => {
  parseGraph(TEXT);
  const tokens = TEXT.split(/(?<=[\s(){}[\],:])|(?=[\s(){}[\],:])/);
  const place = fc.nat(tokens.length - 1);
  fc.assert(
    fc.property(place, place, fc.constantFrom('swap', 'drop', 'copy', 'cut'), (i, j, how) => {
      const damaged = [...tokens];
      const [a, b] = [tokens[i] as string, tokens[j] as string];
      if (how === 'swap') [damaged[i], damaged[j]] = [b, a];
      if (how === 'drop') damaged.splice(i, 1);
      if (how === 'copy') damaged[i] = b;
      expectAnswer((how === 'cut' ? damaged.slice(0, i) : damaged).join(''));
    }),
    { numRuns: 2000, seed: 7 },
  );
});

test.each([
  ['a name with a bad escape', 'graph "\\x" (x: f32[2])\nreturn o: x', 'line 1: "\\x" is no quoted name'],
  ['a word for a number', 'graph g (x: i64[2])\n  y = add(x, c i64[1] {one})\nreturn o: y', 'c: "one" is no i64'],
  [
    'a shape of a constant that is open',
    'graph g (x: f32[2])\n  y = add(x, c f32[n] #12)\nreturn o: y',
    'must be fixed',
  ],
  ['a list that is none', 'graph g (x: f32[2])\n  y = reshape(x) {shape: 2}\nreturn o: y', 'shape takes a list'],
  [
    'an attribute of another op',
    'graph g (x: f32[2])\n  y = relu(x) {axis: 0}\nreturn o: y',
    'relu has no attribute axis',
  ],
  [
    'more scales than can be',
    'graph g (x: f32[2])\n  y = linear(x, w i8[99999999999, 2] q(axis 0, #12) #34)\nreturn o: y',
    'scales are over',
  ],
])('refuses %s', (_, text, problem) => {
  expect(() => parseGraph(text)).toThrow(problem);
});
