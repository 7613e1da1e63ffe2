import { expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { withFolder } from '../../../src/pipelines/evaluate/loaded-model.ts';
import { rivalWarnings } from '../../../src/pipelines/quantize/dynamic-rival.ts';
import { chain, decideOptions, useScriptedErrors } from './scripted.ts';

/** The warnings on a file whose answers are off by `own`, beside one of dynamic linears that are off by `dynamic`. */
function warned(own: number, dynamic: number): Promise<string[]> {
  const graph = chain();
  const named = { ...onnx.defaults, properties: { 'mbert.quantization': '{}' } };
  useScriptedErrors(({ place }) => [own, dynamic][place] as number);
  return withFolder(async (write) => {
    const floatPath = await write(onnx.write(graph, onnx.defaults));
    const path = await write(onnx.write(graph, named));
    const rival = () => write(onnx.write(graph, named));
    return rivalWarnings({ path, floatPath, float: graph, write: rival }, decideOptions());
  });
}

test('a static file says where a dynamic one is nearer to the float model, by a decibel or more', async () => {
  expect(await warned(0.1, 0.01)).toEqual([
    '--scheme dynamic: is nearer to the float model and mostly slower: 40.0 dB on 32 held-out samples, int8 20.0 dB',
  ]);
  // 20 log10(1.15) = 1.2 and 20 log10(1.1) = 0.8.
  expect(await warned(0.115, 0.1)).toHaveLength(1);
  expect(await warned(0.11, 0.1)).toEqual([]);
  expect(await warned(0.01, 0.1)).toEqual([]);
});
