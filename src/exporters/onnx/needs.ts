import type { Graph } from '../../ir/graph.ts';
import { DTYPES } from '../../ir/tensor.ts';
import { hasBlockedRows } from './blocked-rows.ts';
import { looksUpBlocks } from './blocks.ts';

/** Demands of an ONNX file on its runtime: operators that are not the standard's, and the releases that have them. */
export interface OnnxNeeds {
  /** Operators of the domain com.microsoft, in the order of their names. */
  readonly operators: readonly string[];
  /** The oldest release of ONNX Runtime whose CPU build computes all of them. */
  readonly onnxruntime: string;
}

/** Tried with the CPU builds of ONNX Runtime 1.20.1, 1.21.1, 1.22.1, 1.23.2 and 1.30.0 of PyPI. */
const RELEASES = { eightBits: '1.22', fourBits: '1.20' } as const;

/** Says what a graph needs that is written with ONNX Runtime's own operators; undefined where it needs none of them. */
export function needsOf(graph: Graph): OnnxNeeds | undefined {
  const nodes = graph.nodes();
  const bits = new Set<number>();
  for (const node of nodes) {
    const weight = node.op === 'linear' ? node.inputs[1] : undefined;
    if (weight && hasBlockedRows(weight)) bits.add(DTYPES[weight.type.dtype]);
  }
  const hasTable = nodes.some((node) => node.op === 'gather' && looksUpBlocks(node));
  if (bits.size === 0 && !hasTable) return undefined;
  return {
    operators: [...(hasTable ? ['GatherBlockQuantized'] : []), ...(bits.size > 0 ? ['MatMulNBits'] : [])],
    onnxruntime: bits.has(8) ? RELEASES.eightBits : RELEASES.fourBits,
  };
}
