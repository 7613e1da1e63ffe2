import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { tfliteRules } from '../../src/lint/index.ts';
import { lint } from '../../src/lint/rule.ts';
import { readTfliteModel } from '../../src/lint/tflite/model.ts';
import { predictDelegation } from '../../src/lint/tflite/xnnpack.ts';
import { random } from '../core.ts';
import { Changes, goodFile, strictFile } from './sample.ts';

const good = await goodFile();

describe('refuses a file that refers to what it does not have', () => {
  test.each<readonly [string, (file: Changes) => void, string]>([
    [
      'an input beyond the tensors',
      (file) => (file.operator('up').inputs = [9999]),
      'm.tflite: operator 26: refers to tensor 9999 of 60',
    ],
    [
      'an output beyond the tensors',
      (file) => (file.operator('up').outputs = [-2]),
      'm.tflite: operator 26: refers to tensor -2 of 60',
    ],
    [
      'an operator code beyond those there are',
      (file) => (file.operator('up').opcodeIndex = 99),
      'm.tflite: operator 26: has no operator code 99',
    ],
    [
      'a buffer beyond those there are',
      (file) => (file.tensor('up').buffer = 99),
      'm.tflite: up: refers to buffer 99 of 25',
    ],
    [
      'a graph output beyond the tensors',
      (file) => Object.assign(file.model.subgraphs?.[0] ?? {}, { outputs: [99] }),
      'm.tflite: outputs: refers to tensor 99 of 60',
    ],
    [
      'a buffer behind the end',
      (file) => Object.assign(file.model.buffers?.[3] ?? {}, { data: undefined, offset: 2 ** 40, size: 1 }),
      'm.tflite: buffer 3: lies outside the file',
    ],
  ])('%s', (_, change, message) => {
    const file = new Changes(good);
    change(file);
    expect(() => readTfliteModel(file.bytes(), 'm.tflite')).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message }),
    );
  });

  test('another identifier', () => {
    const bytes = good.slice();
    bytes[4] = 0x58;
    expect(() => readTfliteModel(bytes, 'm.tflite')).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
    expect(readTfliteModel(good, 'm.tflite').graphs.length).toBe(1);
  });
});

test('reads weights that lie behind the FlatBuffer', () => {
  const file = new Changes(good);
  const weight = file.tensor('up.weight');
  const data = Uint8Array.from(file.model.buffers?.[weight.buffer]?.data ?? []);
  Object.assign(file.model.buffers?.[weight.buffer] ?? {}, { data: undefined, offset: 2, size: data.length });
  const { length } = file.bytes();
  Object.assign(file.model.buffers?.[weight.buffer] ?? {}, { offset: length });
  const model = readTfliteModel(Buffer.concat([file.bytes(), data]), 'm.tflite');
  const found = model.graphs[0]?.tensors.find(({ name }) => name === 'up.weight')?.data;
  expect(Buffer.compare(found ?? new Uint8Array(0), data)).toBe(0);
});

test('damaged files are refused by name or linted, never a crash', () => {
  const next = random(7);
  let linted = 0;
  for (let i = 0; i < 600; i++) {
    const bytes = good.slice();
    // Tables come before the weights: most of what is hit is structure.
    for (let hit = 0; hit < 1 + (i % 4); hit++) bytes[8 + Math.floor(next() * 20_000)] = Math.floor(next() * 256);
    try {
      const model = readTfliteModel(bytes, 'm.tflite');
      lint(tfliteRules, model);
      linted++;
    } catch (error) {
      expect(error).toBeInstanceOf(MbertError);
    }
  }
  expect(linted).toBeGreaterThan(50);
  expect(linted).toBeLessThan(600);
});

test('says of every operator where it runs, or why XNNPACK declines it', async () => {
  const { operators } = predictDelegation(readTfliteModel(await strictFile(), 'm.tflite'));
  const lines = operators.map(({ where, code, partition, reason }) => `${where} ${code} ${partition ?? reason}`);
  expect(lines).toMatchInlineSnapshot(`
    [
      "q QUANTIZE 0",
      "p SOFTMAX q is INT8, and only floats are taken",
      "t TANH 0",
      "a MUL 1",
      "s LOGISTIC 0",
      "b ADD 1",
      "r RELU q is INT8, and only floats are taken",
      "e ADD 1",
      "c CONCATENATION 0",
      "y SLICE 0",
      "d SUB 1",
      "out DEQUANTIZE 1",
    ]
  `);
});

test('a file whose operators wait for each other gets no partition for them', () => {
  const file = new Changes(good);
  file.operator('up').inputs?.fill(file.index('down'), 0, 1);
  const { operators } = predictDelegation(readTfliteModel(file.bytes(), 'm.tflite'));
  expect(operators.find(({ where }) => where === 'up')).toEqual({
    where: 'up',
    code: 'FULLY_CONNECTED',
    reason: 'its inputs are never computed',
  });
});
