import type { Graph } from '../../ir/graph.ts';
import { isStatic } from '../../ir/shape.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Target } from '../../passes/index.ts';

const TWIN_LENGTH = 64;
const TWIN_CHOICES = 2;

/**
 * Fixed shapes for a twin: the same model written once more, for a file that cannot run here. Undefined where the file
 * itself can: LiteRT's WebAssembly build takes no dynamic shapes. Sizes that the file fixes stay, those that it leaves
 * open become short.
 */
export function twinShape(
  { inputs }: Graph,
  target: Target,
  { maxPositions }: { readonly maxPositions: number },
): ShapeOptions | undefined {
  if (target === 'onnx' || inputs.every(({ type }) => isStatic(type.shape))) return undefined;
  const shape = inputs[0]?.type.shape ?? [];
  const [batch] = shape;
  const length = shape.at(-1);
  const choices = shape.length > 2 ? shape[1] : undefined;
  return {
    batch: typeof batch === 'number' ? batch : 1,
    sequenceLength: typeof length === 'number' ? length : Math.min(TWIN_LENGTH, maxPositions),
    ...(choices !== undefined && { choices: typeof choices === 'number' ? choices : TWIN_CHOICES }),
  };
}
