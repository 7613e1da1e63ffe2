import { describe, expect, test } from 'vitest';
import { raiseFilledMask } from '../../src/passes/raise/filled-mask.ts';
import { after } from '../core.ts';

/** Two layers whose scores are filled in where one mask is not set. */
const filled = (
  least: number,
  choose = 'where(hidden, least, s)',
  rest = 'p = softmax(f)',
) => `graph g (s: f32[2, 4], t: f32[2, 4], mask: i64[1, 4])
  kept = cast(mask) {to: bool}
  hidden = not(kept)
  f = ${choose.replace('least', `least f32[] {${least}}`)}
  ${rest}
  f2 = where(hidden, least2 f32[] {${least}}, t)
  p2 = softmax(f2)
return p: p, p2: p2`;

const raised = (text: string) => after(raiseFilledMask, text);

describe('raise-filled-mask', () => {
  test('adds one mask to the scores of all softmaxes', async () => {
    expect(await raised(filled(-3.4028234663852886e38))).toMatchInlineSnapshot(`
      "graph g (s: f32[2, 4], t: f32[2, 4], mask: i64[1, 4])
        kept = cast(mask) {to: bool}  bool[1, 4]
        f.mask.condition = cast(kept)  f32[1, 4]
        f.mask.padding = sub(f.mask.one f32[] {1}, f.mask.condition)  f32[1, 4]
        f.mask = mul(f.mask.padding, f.mask.least f32[] {-3.4028235e+38})  f32[1, 4]
        f = add(s, f.mask)  f32[2, 4]
        p = softmax(f)  f32[2, 4]
        f2 = add(t, f.mask)  f32[2, 4]
        p2 = softmax(f2)  f32[2, 4]
      return p: p, p2: p2"
    `);
  });

  test('the other way round', async () => {
    const text = await raised(filled(-1e30, 'where(kept, s, least)'));
    expect(text).not.toContain('where');
  });

  test.each([
    ['a number beside which scores count', -10000],
    ['infinity, of which 0 times is no number', Number.NEGATIVE_INFINITY],
    ['a large positive number', 1e30],
  ])('leaves %s', async (_, least) => {
    expect((await raised(filled(least))).match(/where/g)).toHaveLength(2);
  });

  test('leaves scores that are read by more than a softmax', async () => {
    const text = filled(-1e30, undefined, 'q = softmax(f)\n  p = add(q, f)');
    expect((await raised(text)).match(/where/g)).toHaveLength(1);
  });
});
