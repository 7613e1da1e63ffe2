import type { Call } from '../../ir/graph.ts';
import { hasWeight, isFront, isNarrow, isTable, type NodeScheme, type Settings } from '../settings.ts';
import type { Form, FormRequest } from './form.ts';

/**
 * The settings of a node with a weight or table; undefined for others. Narrow heads and the linear that reads the
 * embeddings stay float.
 */
export function weightSettings(node: Call, scheme: NodeScheme, request: FormRequest): Settings | undefined {
  const { granularity, rounding, range } = request;
  if (!isTable(node) && !hasWeight(node)) return undefined;
  const kept = isNarrow(node) || isFront(node);
  const perRow = isTable(node) && granularity === 'block' ? 'channel' : granularity;
  return { scheme: kept ? 'float' : scheme, granularity: perRow, rounding, range };
}

/**
 * A form of integer weights and float values, without calibration. `dynamic` linears find the range of what they read
 * in each run (ONNX: DynamicQuantizeLinear, MatMulInteger; TFLite: hybrid FULLY_CONNECTED); `w4` weights have 4 bits.
 * Tables are 8-bit.
 */
export const weightsOnly: Form = {
  name: 'weights-only',
  summary: 'integer weights, float values; dynamic linears quantize what they read in each run',
  settingsOf(node, request) {
    // No convolution kernel of TFLite takes 4-bit weights.
    const scheme = request.scheme === 'w4' && node.op === 'linear' ? 'w4' : 'dynamic';
    return weightSettings(node, scheme, request);
  },
  plan: (graph, settings) => ({
    graph,
    settings,
    integer: new Set(),
    stored: new Map(),
    copies: new Map(),
    storedFor: new Map(),
  }),
};
