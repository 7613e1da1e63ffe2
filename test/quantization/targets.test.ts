import { describe, expect, test } from 'vitest';
import { blocksFor, formFor, granularityFor, targetNamed, type targets } from '../../src/quantization/targets.ts';

const ort = targetNamed('ort', 'onnx');
const [cpu, npu, hexagon] = ['cpu', 'npu', 'hexagon'].map((name) => targetNamed(name, 'tflite')) as [
  (typeof targets)[number],
  (typeof targets)[number],
  (typeof targets)[number],
];

describe('a target', () => {
  test('is found by its name, for the formats that it takes', () => {
    expect(targetNamed('cpu', 'onnx').name).toBe('cpu');
    expect(() => targetNamed('npu', 'onnx')).toThrow('--target npu: takes tflite files, not onnx');
    expect(() => targetNamed('ort', 'tflite')).toThrow('--target ort: takes onnx files, not tflite');
  });

  test('that does not exist is refused with a list of those that do', () => {
    expect(() => targetNamed('tpu', 'tflite')).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: 'it is one of cpu, ort, npu, hexagon' }),
    );
  });
});

describe('the form', () => {
  test.each([
    ['int8', 'onnx', cpu, 'integer-gemms'],
    ['int8', 'tflite', cpu, 'integer-graph'],
    ['int16x8', 'tflite', cpu, 'integer-graph'],
    ['int8', 'tflite', npu, 'strict-integer-graph'],
    ['int16x8', 'tflite', hexagon, 'strict-integer-graph'],
    ['dynamic', 'onnx', cpu, 'weights-only'],
    ['w4', 'tflite', cpu, 'weights-only'],
    ['w4', 'onnx', ort, 'weights-only'],
    ['int8', 'onnx', ort, 'integer-gemms'],
  ] as const)('of %s in %s files', (scheme, format, target, name) => {
    expect(formFor(scheme, format, target).name).toBe(name);
  });

  test.each(['dynamic', 'w4'] as const)('of %s is none where nothing computes on floats', (scheme) => {
    expect(() => formFor(scheme, 'tflite', npu)).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: 'use --scheme int8' }),
    );
  });
});

test('blocks of 4 bits have zero points in ONNX, and blocks of 8 bits are for ONNX Runtime alone', () => {
  expect(blocksFor('onnx', cpu)).toMatchObject({ w4: 32, hasZeroPoints: true, hasTables: false });
  expect(blocksFor('onnx', cpu).w8).toBeUndefined();
  expect(blocksFor('tflite', cpu).hasZeroPoints).toBe(false);
  expect(blocksFor('onnx', ort)).toEqual({ w4: 32, w8: 64, hasZeroPoints: true, hasTables: true });
});

describe('the granularity of weights', () => {
  test.each([
    ['int8', 'onnx', cpu, undefined, 'channel'],
    ['w4', 'onnx', cpu, undefined, 'block'],
    ['w4', 'tflite', cpu, undefined, 'channel'],
    ['w4', 'onnx', ort, undefined, 'block'],
    ['dynamic', 'onnx', ort, undefined, 'block'],
    ['dynamic', 'onnx', ort, 'channel', 'channel'],
    ['dynamic', 'onnx', cpu, undefined, 'channel'],
    ['int8', 'onnx', ort, undefined, 'channel'],
    ['int8', 'tflite', hexagon, undefined, 'tensor'],
    ['int8', 'tflite', hexagon, 'tensor', 'tensor'],
    ['w4', 'tflite', cpu, 'block', 'block'],
    ['int8', 'onnx', cpu, 'tensor', 'tensor'],
  ] as const)('of %s in %s files', (scheme, format, target, asked, expected) => {
    expect(granularityFor(scheme, format, target, asked)).toBe(expected);
  });

  test.each([
    ['int8', cpu, 'block', '--granularity block: is for --scheme w4, not int8'],
    ['int8', hexagon, 'channel', '--granularity channel: hexagon takes one scale per weight'],
  ] as const)('of %s cannot be what it has no kernels for', (scheme, target, asked, problem) => {
    expect(() => granularityFor(scheme, 'tflite', target, asked)).toThrow(problem);
  });
});
