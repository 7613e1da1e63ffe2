import { describe, expect, test } from 'vitest';
import { tfliteRules } from '../../src/lint/index.ts';
import { lint, type RuleFinding } from '../../src/lint/rule.ts';
import { readTfliteModel } from '../../src/lint/tflite/model.ts';
import { bytesOf } from '../exporters/tflite-lab.ts';
import { quantizeWeights } from '../quantize-by-hand.ts';
import { Changes, floatLayer, goodFile, hybridFile, strictFile } from './sample.ts';

function findings(bytes: Uint8Array): RuleFinding[] {
  return lint(tfliteRules, readTfliteModel(bytes, 'model.tflite'));
}

const files = {
  i8: await goodFile(),
  strict: await strictFile(),
  hybrid: await hybridFile('i8 per channel'),
  blocks: await hybridFile('i4 per block'),
  f16: await bytesOf(floatLayer(), { dtype: 'f16' }),
};

/** A good file, the rule that finds it broken, how it is broken, and what is said of it. */
type Row = readonly [keyof typeof files, string, (file: Changes) => void, Omit<RuleFinding, 'rule'>];

const error = (where: string, problem: string) => ({ severity: 'error', where, problem }) as const;
const warning = (where: string, problem: string) => ({ severity: 'warning', where, problem }) as const;

const ROWS: readonly Row[] = [
  // What LiteRT was seen to do with such files is in the rules' summaries.
  [
    'i8',
    'quantization-lengths',
    (file) => (file.quantization('up.weight').zeroPoint = [0]),
    error('up.weight', 'has 64 scales and 1 zero points'),
  ],
  [
    'i8',
    'quantization-lengths',
    (file) => (file.quantization('up.weight').quantizedDimension = 1),
    error('up.weight', 'has 64 scales for dimension 1 of size 32'),
  ],
  [
    'i8',
    'weight-zero-points',
    (file) => file.quantization('up.weight').zeroPoint?.fill(3, 7, 8),
    error('up.weight', 'FULLY_CONNECTED weight has the zero point 3 (entry 7), must be 0'),
  ],
  [
    'i8',
    'weight-zero-points',
    (file) => file.quantization('words.weight').zeroPoint?.fill(-1),
    error('words.weight', 'EMBEDDING_LOOKUP weight has the zero point -1 (entry 0), must be 0'),
  ],
  [
    'i8',
    'symmetric-weights',
    (file) => file.data('up.weight').fill(0x80, 5, 6),
    error('up.weight', 'FULLY_CONNECTED weight holds -128, outside ±127'),
  ],
  [
    'blocks',
    'symmetric-weights',
    (file) => file.data('up.weight').fill(0x81, 5, 6),
    error('up.weight', 'FULLY_CONNECTED weight holds -8, outside ±7'),
  ],
  [
    'blocks',
    'symmetric-weights',
    (file) => file.data('up.weight').fill(0x18, 5, 6),
    error('up.weight', 'FULLY_CONNECTED weight holds -8, outside ±7'),
  ],
  ['i8', 'scales', (file) => file.quantization('up').scale?.fill(0), error('up', 'scale 0 is 0')],
  [
    'i8',
    'scales',
    (file) => file.quantization('up.weight').scale?.fill(Number.NaN, 9, 10),
    error('up.weight', 'scale 9 is NaN'),
  ],
  [
    'i8',
    'bias-scales',
    (file) => file.quantization('up.bias').scale?.fill(1, 2, 3),
    error('up.bias', 'scale 2 is 1, and s_x·s_w is 0.006391178235081729'),
  ],
  [
    'i8',
    'bias-scales',
    (file) => (file.tensor('up.bias').quantization = undefined),
    error('up.bias', 'is an integer bias without scales'),
  ],
  [
    'i8',
    'bias-scales',
    (file) => file.quantization('up.bias').zeroPoint?.fill(1, 2, 3),
    error('up.bias', 'is a bias with a zero point'),
  ],
  [
    'i8',
    'matmul-zero-points',
    (file) => (file.quantization('k').zeroPoint = [4]),
    warning('products', 'its right operand k has the zero point 4'),
  ],
  [
    'i8',
    'matmul-zero-points',
    (file) => (file.quantization('v').zeroPoint = [-4]),
    warning('mixed', 'its right operand v has the zero point -4'),
  ],
  [
    'strict',
    'fixed-scales',
    (file) => file.quantization('p').scale?.fill(1 / 255),
    error('p', 'SOFTMAX gives (0.00390625, -128), the file says (0.003921568859368563, -128)'),
  ],
  [
    'strict',
    'fixed-scales',
    (file) => (file.quantization('t').zeroPoint = [1]),
    error('t', 'TANH gives (0.0078125, 0), the file says (0.0078125, 1)'),
  ],
  [
    'strict',
    'fixed-scales',
    (file) => (file.quantization('s').zeroPoint = [0]),
    error('s', 'LOGISTIC gives (0.00390625, -128), the file says (0.00390625, 0)'),
  ],
  [
    'i8',
    'fused-activations',
    (file) => file.code('sum', { builtinCode: 'RELU', deprecatedBuiltinCode: 19 }),
    warning('sum', 'RELU of INT8 stands alone'),
  ],
  [
    'i8',
    'kept-scales',
    (file) => file.quantization('q1').scale?.fill(1),
    error('q1', 'RESHAPE of q0 (0.04871802404522896, 0) is (1, 0)'),
  ],
  [
    'i8',
    'kept-scales',
    (file) => (file.quantization('together').zeroPoint = [100]),
    error('together', 'TRANSPOSE of mixed (0.034112587571144104, -43) is (0.034112587571144104, 100)'),
  ],
  [
    'i8',
    'kept-scales',
    (file) => file.quantization('k0').scale?.fill(1),
    error('k0', 'SPLIT of qkv (0.04871802404522896, 0) is (1, 0)'),
  ],
  [
    'i8',
    'kept-scales',
    (file) => file.quantization('first').scale?.fill(1),
    error('first', 'SLICE of both (0.8210393786430359, 4) is (1, 4)'),
  ],
  [
    'i8',
    'kept-scales',
    (file) => file.quantization('both').scale?.fill(1),
    error('both', 'CONCATENATION of sum (0.8210393786430359, 4) is (1, 4)'),
  ],
  [
    'i8',
    'scale-ratios',
    (file) => file.quantization('dense').scale?.fill(1e4),
    warning('residual', "the scale of dense is 12179.68359375 of the result's, outside [2^-10, 2^8)"),
  ],
  [
    'i8',
    'scale-ratios',
    (file) => file.quantization('gain').scale?.fill(1e9),
    warning('scaled2', "the product of the scales is 1620574529.3739374 of the result's, outside [2^-16, 2^8)"),
  ],
  [
    'hybrid',
    'asymmetric-inputs',
    (file) => Object.assign(file.operator('up').builtinOptions?.value ?? {}, { asymmetricQuantizeInputs: false }),
    warning('up', 'FULLY_CONNECTED has asymmetric_quantize_inputs false'),
  ],
  [
    'i8',
    'slice-sizes',
    (file) => file.data('size_1_1_64').fill(0xff, 4, 8),
    warning('first', 'SLICE has the size -1 along axis 1'),
  ],
  [
    'strict',
    'concat-inputs',
    (file) => (file.operator('c').inputs = new Array(6).fill(file.index('q'))),
    warning('c', 'CONCATENATION has 6 inputs'),
  ],
  [
    'i8',
    'operator-versions',
    (file) => file.code('up', { version: 4 }),
    error('up', 'FULLY_CONNECTED is version 4, its form needs 5'),
  ],
  [
    'i8',
    'operator-versions',
    (file) => file.code('products', { version: 4 }),
    warning('products', 'BATCH_MATMUL is version 4, its form needs 2'),
  ],
  [
    'hybrid',
    'operator-versions',
    (file) => file.code('up', { version: 5 }),
    error('up', 'FULLY_CONNECTED is version 5, its form needs 12'),
  ],
  [
    'i8',
    'operator-codes',
    (file) => file.code('up', { deprecatedBuiltinCode: 0 }),
    error('operator code 17', 'FULLY_CONNECTED has 0 in the old field, must be 9'),
  ],
  [
    'i8',
    'buffer-lengths',
    (file) => (file.tensor('up.weight').shape = [64, 31]),
    error('up.weight', 'INT8 [64, 31] needs 1984 bytes, has 2048'),
  ],
  [
    'f16',
    'f16-overflow',
    (file) => file.data('up.weight_f16').set([0x00, 0x7c], 4),
    error('up.weight_f16', 'element 2 is Infinity, and f16 ends at 65504'),
  ],
  [
    'i8',
    'f16-overflow',
    (file) => {
      file.model.metadata?.push({ name: 'reduced_precision_support', buffer: 0 });
      new DataView(file.data('least').buffer).setFloat32(0, -1e5, true);
    },
    error('least', 'element 0 is -100000, and f16 ends at 65504'),
  ],
  [
    'i8',
    'unused-buffers',
    (file) => file.addBuffer(new Uint8Array(3)),
    warning('buffer 25', 'has 3 bytes that nothing reads'),
  ],
  [
    'i8',
    'unused-buffers',
    (file) => Object.assign(file.model.buffers?.[0] ?? {}, { data: new Uint8Array(4) }),
    warning('buffer 0', 'holds 4 bytes'),
  ],
  ['i8', 'unused-tensors', (file) => file.addTensor({ name: 'left' }), warning('left', 'is read by nothing')],
  [
    'blocks',
    'block-weights',
    (file) => Object.assign(file.quantization('up.weight').details?.value ?? {}, { blockSize: 16 }),
    error('up.weight', 'has blocks of 16, XNNPACK takes multiples of 32'),
  ],
  [
    'blocks',
    'block-weights',
    (file) => Object.assign(file.operator('dense').builtinOptions?.value ?? {}, { fusedActivationFunction: 'RELU' }),
    error('dense.weight', "has a fused RELU, which LiteRT's own kernel leaves out"),
  ],
  ['i8', 'canonical-form', (file) => (file.model.signatureDefs = []), warning('model', 'has no signature')],
  ['i8', 'canonical-form', (file) => (file.tensor('up').name = ''), warning('main', 'has 1 tensors without a name')],
  ['i8', 'canonical-form', (file) => (file.tensor('up').name = 'down'), warning('down', 'is the name of two tensors')],
  [
    'i8',
    'canonical-form',
    (file) => (file.tensor('up').hasRank = false),
    warning('main', 'has 1 tensors with has_rank false'),
  ],
  ['i8', 'canonical-form', (file) => (file.model.version = 2), warning('model', 'has the schema version 2')],
];

describe('files that mbert writes have no findings', () => {
  test('in floats', async () => {
    expect(findings(await bytesOf(floatLayer()))).toEqual([]);
  });

  test('with f16 weights', async () => {
    expect(findings(await bytesOf(floatLayer(), { dtype: 'f16' }))).toEqual([]);
  });

  test('in i8', () => {
    expect(findings(files.i8)).toEqual([]);
  });

  test.each(['i8 per channel', 'i8 per tensor', 'i4 per channel'] as const)('with weights of %s', async (kind) => {
    const graph = floatLayer();
    quantizeWeights(graph, kind);
    expect(findings(await bytesOf(graph))).toEqual([]);
  });
});

test('every rule has a file that it finds broken', () => {
  const others = ['buffer-alignment', 'xnnpack-partitions'];
  expect(new Set([...ROWS.map(([, rule]) => rule), ...others])).toEqual(new Set(tfliteRules.map(({ name }) => name)));
});

test('buffers off the 16-byte lines are counted; decoding and encoding alone breaks nothing else', () => {
  const found = findings(new Changes(files.i8).bytes());
  expect(found).toMatchObject([{ rule: 'buffer-alignment', severity: 'warning' }]);
  expect(found[0]?.problem).toMatch(/^\d+ of 24 buffers start elsewhere, first this one at byte \d+$/);
});

test('several partitions are named with what lies between them', () => {
  expect(findings(files.strict)).toContainEqual({
    rule: 'xnnpack-partitions',
    severity: 'warning',
    where: 'XNNPACK',
    problem:
      'makes 2 partitions: it declines p (SOFTMAX: q is INT8, and only floats are taken) and r (RELU: q is INT8, and only floats are taken)',
  });
});

test('what makes XNNPACK fail is an error', () => {
  const file = new Changes(files.i8);
  file.quantization('both').scale?.fill(1);
  expect(findings(file.bytes())).toContainEqual({
    rule: 'xnnpack-partitions',
    severity: 'error',
    where: 'XNNPACK',
    problem: 'fails to load: both: CONCATENATION between unequal scales or zero points',
  });
});

test.each(ROWS)('%s file: %s', (name, rule, breakIt, wanted) => {
  const file = new Changes(files[name]);
  breakIt(file);
  const found = findings(file.bytes()).filter((finding) => finding.rule === rule);
  expect(found).toContainEqual({ rule, ...wanted });
});
