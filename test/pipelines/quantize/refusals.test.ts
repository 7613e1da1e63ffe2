import { expect, test } from 'vitest';
import { refuseContradictions, refuseQuantized } from '../../../src/pipelines/quantize/refusals.ts';
import type { QuantizeOptions } from '../../../src/pipelines/quantize/types.ts';
import { graphOf } from '../../core.ts';

const refuse = (options: Partial<QuantizeOptions>, format?: 'onnx' | 'tflite') =>
  refuseContradictions({ source: 's', output: 'o', scheme: 'int8', calibrate: 't', ...options }, format);

test.each<[string, Partial<QuantizeOptions>, 'onnx' | 'tflite' | undefined, string]>([
  ['int8 without texts', { calibrate: undefined }, 'onnx', '--scheme int8: needs --calibrate FILE'],
  ['16 bits without texts', { scheme: 'int16x8', calibrate: undefined, data: 'd' }, 'onnx', '--scheme int16x8: needs'],
  ['a gate without texts', { scheme: 'w4', calibrate: undefined, maxDrop: 1 }, 'onnx', '--max-drop: needs samples'],
  ['a count of no texts', { scheme: 'w4', calibrate: undefined, samples: 3 }, 'onnx', '--samples: says which texts'],
  ['one recipe of two files', { dumpRecipe: 'r' }, undefined, '--dump-recipe: is for one file, o gets two'],
  ['integer outputs in ONNX', { io: 'int8' }, 'onnx', '--io int8: is for .tflite files of --scheme int8 or int16x8'],
  ['integer outputs of both', { io: 'int8' }, undefined, '--io int8: is for .tflite files'],
  ['integer outputs of floats', { io: 'int8', scheme: 'dynamic' }, 'tflite', '--io int8: is for .tflite files'],
  [
    'fitted weights without texts',
    { scheme: 'w4', rounding: 'gptq', calibrate: undefined },
    'onnx',
    '--rounding gptq: needs',
  ],
  ['fitted halves', { scheme: 'f16', rounding: 'gptq' }, 'onnx', '--rounding gptq: f16 has no integers'],
  [
    'corrected biases of halves',
    { scheme: 'f16', biasCorrection: true },
    'onnx',
    '--bias-correction: f16 has no integers',
  ],
  ['fitted linears of 8 bits', { scheme: 'dynamic', refit: true }, 'onnx', '--refit: is for --scheme w4'],
  ['fitted linears without texts', { scheme: 'w4', refit: true, calibrate: undefined }, 'onnx', '--refit: needs'],
  [
    'biases that are fitted and corrected',
    { scheme: 'w4', refit: true, biasCorrection: true },
    'onnx',
    '--refit: fits biases as well',
  ],
  ['a recipe of halves', { scheme: 'f16', recipe: 'r' }, 'onnx', '--recipe: f16 has no recipes'],
  ['a written recipe of halves', { scheme: 'f16', dumpRecipe: 'r' }, 'onnx', '--dump-recipe: f16 has no recipes'],
  ['scales of halves', { scheme: 'f16', granularity: 'tensor' }, 'onnx', '--granularity: f16 has no scales'],
])('%s is refused', (_, options, format, message) => {
  expect(() => refuse(options, format)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }),
  );
});

test.each<[string, Partial<QuantizeOptions>, 'onnx' | 'tflite' | undefined]>([
  ['int8 with texts', {}, undefined],
  ['dynamic without', { scheme: 'dynamic', calibrate: undefined }, undefined],
  ['a gate on held-out texts', { scheme: 'dynamic', calibrate: undefined, data: 'd', maxDrop: 1 }, 'onnx'],
  ['a default about texts', { scheme: 'dynamic', calibrate: undefined, allowOverlap: false }, 'onnx'],
  ['integer outputs', { io: 'int8', scheme: 'int16x8' }, 'tflite'],
  ['float outputs', { io: 'f32', scheme: 'dynamic' }, 'onnx'],
  ['a recipe of one file', { dumpRecipe: 'r', recipe: 'q' }, 'tflite'],
  ['the nearest integers', { scheme: 'w4', rounding: 'nearest', calibrate: undefined, biasCorrection: false }, 'onnx'],
])('%s is not', (_, options, format) => {
  expect(() => refuse(options, format)).not.toThrow();
});

test.each([
  ['integers', 'w i8[2, 2] q(0.5, 0) {1, 2, 3, 4}', 'x', 'w'],
  ['ranges of each run', 'w f32[2, 2] #1', 'rounded', 'rounded'],
])('a source with %s is refused, with where', (_, weight, input, name) => {
  const graph = graphOf(`graph g (x: f32[1, 2])
  rounded = dynamicRound(x)
  y = linear(${input}, ${weight})
return out: y`);
  expect(() => refuseQuantized(graph, 'm.onnx')).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED', message: `m.onnx: ${name}: is quantized already` }),
  );
});

test('a source of halves is not', () => {
  const graph = graphOf('graph g (x: f32[1, 2])\n  y = linear(x, w f16[2, 2] #1)\nreturn out: y');
  expect(() => refuseQuantized(graph, 'm.onnx')).not.toThrow();
});
