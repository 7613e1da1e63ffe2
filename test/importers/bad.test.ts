import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { buildModel } from '../../src/models/index.ts';
import { badCase, severityOf } from '../bad-case.ts';
import { openWeights } from './open.ts';

const OPTIONS = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** Opens, builds and reads every weight, as an exporter does. Returns the warnings. */
async function load(path: string): Promise<readonly string[]> {
  const { checkpoint } = await openWeights(path);
  try {
    const { graph, warnings } = buildModel(checkpoint, OPTIONS);
    for (const node of graph.nodes()) if (node.op === 'constant') node.tensor.bytes();
    return warnings;
  } finally {
    checkpoint.close();
  }
}

const MAIN = 'mobilebert.embeddings.LayerNorm';
const QUERY = 'mobilebert.encoder.layer.1.attention.self.query.weight';

/** Each damaged twin of mini-qa, the error's code (or warning), and what must be in its message. */
const BAD: readonly (readonly [name: string, code: string, ...parts: string[]])[] = [
  ['st-truncated-data', 'MALFORMED', 'qa_outputs.weight', 'past the end'],
  ['st-truncated-header', 'MALFORMED', 'header of 17024 bytes exceeds the file'],
  ['st-empty', 'MALFORMED', 'empty (0 bytes)'],
  ['st-7bytes', 'MALFORMED', 'too short'],
  ['st-header-huge', 'MALFORMED', 'header of 9223372036854776000 bytes exceeds the file'],
  ['st-header-100tb', 'MALFORMED', 'header of 100000000000000 bytes exceeds the file'],
  ['st-header-notjson', 'MALFORMED', 'header', 'is not JSON'],
  ['st-header-array', 'MALFORMED', 'header', 'not a JSON object'],
  ['st-header-badutf8', 'MALFORMED', 'header', 'not UTF-8'],
  ['st-overlap', 'MALFORMED', `${MAIN}.bias and ${MAIN}.weight overlap`],
  ['st-negative-range', 'MALFORMED', `${MAIN}.bias`, 'ends (0) before it begins (160)'],
  ['st-negative-offset', 'MALFORMED', `${MAIN}.bias`, 'negative data offset -8'],
  ['st-out-of-range', 'MALFORMED', 'qa_outputs.weight', 'past the end'],
  [
    'st-hole',
    'MALFORMED',
    'mobilebert.embeddings.position_embeddings.weight',
    '3840 bytes before it belong to no tensor',
  ],
  ['st-trailing', 'MALFORMED', '64 bytes after the last tensor'],
  ['st-duplicate-key', 'MALFORMED', `"${MAIN}.bias" occurs twice`],
  ['st-dtype-size-mismatch', 'MALFORMED', `${MAIN}.bias`, 'has 160 bytes, but f16[40] takes 80'],
  ['st-dtype-unknown', 'UNSUPPORTED', `${MAIN}.bias`, '"F8_Q9"', 'supported: F64, F32, F16, BF16'],
  ['st-shape-overflow', 'MALFORMED', `${MAIN}.bias`, 'dimension 9007199254740992 overflows'],
  ['st-shape-negative', 'MALFORMED', `${MAIN}.bias`, 'negative dimension -1'],
  ['st-shape-float', 'MALFORMED', `${MAIN}.bias`, 'dimension 1.5 is not an integer'],
  [
    'st-proto-key',
    'MISMATCH',
    'mobilebert.embeddings.token_type_embeddings.weight: the weight is missing',
    'unexpected __proto__',
  ],
  ['st-is-lfs-pointer', 'MALFORMED', 'Git LFS pointer', 'git lfs pull'],
  ['cfg-truncated', 'MALFORMED', 'config.json: is not JSON', '(line 1, column 46)'],
  [
    'cfg-missing-keys',
    'MISMATCH',
    'hidden_size: is absent',
    'default 512',
    'num_hidden_layers: is absent',
    'default 24',
  ],
  ['cfg-negative', 'MALFORMED', 'num_hidden_layers', '-3'],
  ['cfg-zero-heads', 'MALFORMED', 'num_attention_heads', 'got 0'],
  ['cfg-heads-dont-divide', 'MALFORMED', 'num_attention_heads', '16 is not divisible by 5 heads'],
  ['cfg-strings', 'MALFORMED', 'hidden_size', 'got "64px"'],
  ['cfg-huge-layers', 'MISMATCH', 'encoder layers 3 to 999999999 are missing', '1000000000'],
  ['cfg-unknown-act', 'UNSUPPORTED', 'hidden_act: "swiglu"', 'supported: relu, gelu'],
  ['cfg-unknown-norm', 'UNSUPPORTED', 'normalization_type: "rms_norm"', 'supported: no_norm, layer_norm'],
  ['cfg-wrong-modeltype', 'UNSUPPORTED', 'model_type: "t5"', 'supported: mobilebert'],
  ['cfg-wrong-layers', 'MISMATCH', 'num_hidden_layers: is 2', 'holds 3 encoder layers'],
  ['cfg-wrong-ffn', 'MISMATCH', 'num_feedforward_networks: is 3', 'holds 4 feed-forward networks'],
  ['cfg-null', 'MALFORMED', 'config.json: is null'],
  ['cfg-absent', 'NOT_FOUND', 'model.safetensors', 'no config.json'],
  ['shard-missing-file', 'NOT_FOUND', 'names model-00002-of-00006.safetensors, which does not exist'],
  ['shard-path-traversal', 'MALFORMED', '"../../../../../../etc/passwd" leaves the model\'s folder'],
  [
    'shard-wrong-map',
    'MALFORMED',
    `${MAIN}.bias`,
    'model-00006-of-00006.safetensors',
    'model-00001-of-00006.safetensors',
  ],
  ['w-missing-one', 'MISMATCH', `${QUERY}: the weight is missing`],
  ['w-missing-layer', 'MISMATCH', 'all weights of encoder layer 2 are missing (config says 3 encoder layers)'],
  ['w-missing-head', 'MISMATCH', 'qa_outputs.weight and qa_outputs.bias', '--task features'],
  ['w-extra', 'warning', 'mobilebert.encoder.layer.9.foo.weight and optimizer.step: unused'],
  ['w-nan', 'MALFORMED', `${QUERY}: 1 NaN of 256 values`],
  ['w-inf', 'MALFORMED', `${QUERY}: 1 infinite of 256 values`],
  ['w-wrong-shape', 'MISMATCH', QUERY, 'has shape [16, 15], the config implies [16, 16]'],
  [
    'w-transposed',
    'MISMATCH',
    'intermediate.dense.weight',
    'has shape [16, 24], the config implies [24, 16]: it looks transposed',
  ],
  ['w-vocab-mismatch', 'MISMATCH', 'vocab_size: is 120', 'word_embeddings.weight has 110 rows'],
  ['w-allzero', 'warning', 'every weight is zero'],
];

describe('each damaged file gets its own answer', () => {
  test.each(BAD)('%s', async (name, code, ...parts) => {
    const path = badCase(name);
    const answer = await load(path).then(
      (warnings) => ({ code: 'warning', text: warnings.join('\n') }),
      (error: unknown) => {
        if (!(error instanceof MbertError)) throw error;
        return { code: error.code, text: `${error.message}\n${error.hint}` };
      },
    );
    expect(answer.code).toBe(code);
    expect(answer.text.startsWith(`${path}/`)).toBe(true);
    for (const part of parts) expect(answer.text).toContain(part);
  });

  test('with the severity that the fixture asks for', () => {
    for (const [name, code] of BAD) {
      expect(code === 'warning' ? 'warning' : 'error', name).toBe(severityOf(name));
    }
  });

  test.each(['mini-qa', 'mini-qa-sharded'])('and the sound twin %s none', async (name) => {
    expect(await load(`fixtures/${name}`)).toEqual([]);
  });
});

test('a hostile name pollutes no prototype', async () => {
  await expect(load(badCase('st-proto-key'))).rejects.toThrow(MbertError);
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('dtype');
  expect(({} as { shape?: unknown }).shape).toBeUndefined();
});
