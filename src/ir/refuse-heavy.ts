import { MbertError } from '../errors.ts';
import { evaluationSteps } from './evaluation-steps.ts';
import type { Graph, Node } from './graph.ts';
import { isStatic, sizeOf } from './shape.ts';

/**
 * Most numbers and steps of what is computed from constants alone, and most numbers of an input. Runtimes work out
 * constants while they load a file, whatever memory that takes: 1 kB of joins asked ONNX Runtime for 17 GB. Real models
 * have some million numbers of masks and distances.
 */
const MAX_NUMBERS = 2 ** 26;
const MAX_STEPS = 2 ** 32;

/** Throws UNSUPPORTED for a graph that no runtime here should load; `what` names it. */
export function refuseHeavy(graph: Graph, what: string): void {
  for (const { name, type } of graph.inputs) {
    if (!isStatic(type.shape) || sizeOf(type.shape) <= MAX_NUMBERS) continue;
    throw new MbertError(
      'UNSUPPORTED',
      `${what}: input ${name}: takes ${sizeOf(type.shape)} numbers, and ${MAX_NUMBERS} is the limit`,
    );
  }
  const known = new Set<Node>();
  let numbers = 0;
  let steps = 0;
  for (const node of graph.nodes()) {
    if (node.op === 'constant') known.add(node);
    if (node.op === 'input' || node.op === 'constant' || !isStatic(node.type.shape)) continue;
    if (!node.inputs.every((input) => known.has(input))) continue;
    known.add(node);
    numbers += sizeOf(node.type.shape);
    steps += evaluationSteps(node);
    if (numbers <= MAX_NUMBERS && steps <= MAX_STEPS) continue;
    throw new MbertError('UNSUPPORTED', `${what}: ${node.name}: computes more from constants than a runtime should`, {
      hint: 'a real model stores such values; convert leaves them as they are',
    });
  }
}
