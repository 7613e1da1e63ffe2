import type { Side } from './sides.ts';

/**
 * Warns where the models round activations in ways that neither is the other's measure of: ONNX's dynamic files all of a
 * run to one range, TFLite's each row to its own.
 */
export function roundingWarnings(sides: readonly Side[]): string[] {
  const ofRun = sides.find(({ graph }) => graph.nodes().some(({ op }) => op === 'dynamicRound'));
  const ofRows = sides.find(({ model, graph }) => {
    const isHybrid = model.format === 'tflite' && model.integerBytes !== undefined;
    return isHybrid && graph.nodes().every(({ op, type }) => op === 'constant' || type.quant === undefined);
  });
  if (ofRun === undefined || ofRows === undefined) return [];
  return [
    `${ofRun.path}: rounds all activations of a run to one range, ${ofRows.path} each row to its own: what differs is the rounding of both; compare each with the float model`,
  ];
}
