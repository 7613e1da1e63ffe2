import { type Attrs, defineOp } from '../op.ts';
import type { Shape } from '../shape.ts';
import type { DType } from '../tensor.ts';

/** The shape of a value whose very rank is unknown. Ops that need to know more do not take it. */
export const UNKNOWN_SHAPE: Shape = ['?'];

/**
 * An op of the source's format that mbert does not know, carried with its attributes so that inspect and diff can show
 * it; exporters refuse it. `op` is its name in that format, `outputDtype` and `outputShape` the type that the source
 * states.
 */
export const foreign = defineOp({
  inputs: ['xs...'],
  attrs: { op: '', outputDtype: 'f32', outputShape: UNKNOWN_SHAPE } as Attrs,
  tokens: 'mixed',
  stream: 'fixed',
  infer: (_, attrs) => ({ dtype: attrs['outputDtype'] as DType, shape: attrs['outputShape'] as Shape }),
});

/** The op's own name and, where it is known, why it could not be read: `Pow (a power with a computed exponent)`. */
export function foreignText(attrs: Attrs): string {
  const problem = attrs['problem'];
  return typeof problem === 'string' ? `${attrs['op']} (${problem})` : String(attrs['op']);
}
