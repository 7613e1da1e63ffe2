import type { Node } from '../../ir/graph.ts';

const PARAMETER = /^(.+)[./](?:bias|beta|weight|gamma|kernel)$/;

/**
 * The module that a parameter belongs to, `layer.0.dense` for `layer.0.dense.bias`, as exporters name values after
 * steps in it; `otherwise` where the name tells none.
 */
export function moduleOf(parameter: Node, otherwise: string): string {
  return PARAMETER.exec(parameter.name)?.[1] ?? otherwise;
}
