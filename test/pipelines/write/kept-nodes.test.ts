import { describe, expect, test } from 'vitest';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { writeFolder } from '../../../src/pipelines/folder/write-folder.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { keepWarnings } from '../../../src/pipelines/write/kept-nodes.ts';
import { modelOf } from '../opened-model.ts';

describe('--keep', () => {
  const model = modelOf(`graph g (x: f32[1, 2])
  pooler.dense = linear(x, w f32[2, 2] #1)
return y: pooler.dense`);

  test('of names that no node has is warned of', () => {
    expect(keepWarnings(model, { keep: /poler/ })).toEqual([
      `--keep poler: no node of ${model.path} has such a name, so none is left alone`,
    ]);
  });

  test.each([undefined, /pooler/])('of %s is not', (keep) => {
    expect(keepWarnings(model, { keep })).toEqual([]);
  });

  test('is looked at by every command that writes', async () => {
    const asked = { source: 'fixtures/bert-seqcls', keep: /poler/, dryRun: true } as const;
    for (const { warnings } of [
      await convert({ ...asked, output: 'm.onnx' }),
      await quantize({ ...asked, output: 'm.onnx', scheme: 'f16' }),
      await writeFolder({ ...asked, output: 'm/' }),
    ]) {
      expect(warnings).toContainEqual(expect.stringMatching(/^--keep poler: no node of /));
    }
  });
});
