import type { Call } from '../../ir/graph.ts';
import { hasWeight, isFront, isNarrow, isPositions, isTable, type NodeScheme, type Settings } from '../settings.ts';
import { PLAIN_BLOCKS } from '../weights.ts';
import type { Form, FormRequest } from './form.ts';

/**
 * The settings of a node with a weight or table; undefined for others. Narrow heads and the linear that reads the
 * embeddings stay float; tables of positions do but where the target is for small files.
 */
export function weightSettings(node: Call, scheme: NodeScheme, request: FormRequest): Settings | undefined {
  const { granularity, rounding, range, blocks = PLAIN_BLOCKS } = request;
  if (!(hasWeight(node) || isTable(node) || (isPositions(node) && blocks.hasTables))) return undefined;
  const kept = isNarrow(node) || isFront(node);
  const perRow = !hasWeight(node) && granularity === 'block' && !(isTable(node) && scheme === 'w4' && blocks.hasTables);
  return { scheme: kept ? 'float' : scheme, granularity: perRow ? 'channel' : granularity, rounding, range };
}

/**
 * A form of integer weights and float values, without calibration. `dynamic` linears find the range of what they read
 * in each run (ONNX: DynamicQuantizeLinear, MatMulInteger; TFLite: hybrid FULLY_CONNECTED); `w4` weights have 4 bits.
 * Tables are 8-bit, or 4-bit where the target looks rows up in such.
 */
export const weightsOnly: Form = {
  name: 'weights-only',
  summary: 'integer weights, float values; dynamic linears quantize what they read in each run',
  settingsOf(node, request) {
    // No convolution kernel of TFLite takes 4-bit weights.
    const isPacked = node.op === 'linear' || (isTable(node) && request.blocks?.hasTables === true);
    return weightSettings(node, request.scheme === 'w4' && isPacked ? 'w4' : 'dynamic', request);
  },
  plan: (graph, settings, { blocks }) => ({
    graph,
    settings,
    blocks,
    integer: new Set(),
    stored: new Map(),
    copies: new Map(),
    storedFor: new Map(),
  }),
};
