import type { Node } from '../ir/graph.ts';
import { add, type Builder, HIDING_SCORE, scalar } from './builder.ts';
import { countPlaces } from './counted-places.ts';

/**
 * Adds the bias of an attention whose tokens see those up to `reach` places away: 0 within, -10000 outside and for
 * padding, [rows, 1, sequence, sequence]. Everything but the mask is folded where the length is known: keep (1 within
 * the window), self (1 on the diagonal) are made of squared distances by relu, which both formats compute anywhere. A
 * token sees itself even where it is padding: its row would otherwise be all -10000, which hides the scores' own
 * digits.
 */
export function localMask(builder: Builder, name: string, reach: number): Node {
  const { sequence, rows, mask } = builder;
  const node = (part: string, op: 'sub' | 'mul' | 'add', a: Node, b: Node) =>
    add(builder, `${name}.${part}`, op, [a, b]);
  const number = (value: number, part: string) => scalar(builder, `${name}.${part}`, value);
  const relu = (part: string, x: Node) => add(builder, `${name}.${part}`, 'relu', [x]);
  const one = number(1, 'one');
  const least = number(HIDING_SCORE, 'least');

  const row = add(builder, `${name}.places`, 'cast', [countPlaces(builder, `${name}.count`)], { to: 'f32' });
  const column = add(builder, `${name}.column`, 'reshape', [row], { shape: [sequence, 1] });
  const distance = node('distance', 'sub', column, row);
  const square = node('square', 'mul', distance, distance);
  // 0 within the window, 1 outside: squares of whole numbers are 1 apart at least.
  const within = relu('within', node('left', 'sub', number(reach ** 2 + 1, 'limit'), square));
  const outside = relu('outside', node('beyond', 'sub', one, within));
  const self = relu('self', node('apart', 'sub', one, square));

  // least · ((1 - self) - ones · (1 - outside - self)): one product and one sum depend on the mask.
  const always = node('always', 'mul', node('others', 'sub', one, self), least);
  const kept = node('kept', 'mul', node('gone', 'sub', node('known', 'add', outside, self), one), least);
  const ones = add(builder, `${name}.ones`, 'reshape', [mask.ones], { shape: [rows, 1, 1, sequence] });
  return node('bias', 'add', node('seen', 'mul', ones, kept), always);
}
