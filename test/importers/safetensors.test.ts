import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/formats/safetensors.ts';
import { openFile } from '../../src/io/files.ts';
import { openWeights } from './open.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mbert-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A copy of a fixture that a test may change. */
function copy(name: string): string {
  cpSync(`fixtures/${name}`, folder, { recursive: true });
  return folder;
}

describe('opens', () => {
  test('a folder, with the config and the tokenizer beside the weights', async () => {
    const { checkpoint } = await openWeights('fixtures/hf-seqcls');
    expect(checkpoint.path).toBe('fixtures/hf-seqcls/model.safetensors');
    expect(checkpoint.config.get('model_type')).toBe('mobilebert');
    const named = (name: string) => ({
      what: `fixtures/hf-seqcls/${name}`,
      bytes: new Uint8Array(readFileSync(`fixtures/hf-seqcls/${name}`)),
    });
    expect(checkpoint.tokenizer).toEqual({
      vocabulary: named('vocab.txt'),
      config: named('tokenizer_config.json'),
    });
    expect(checkpoint.tensors.get('classifier.weight')?.shape).toEqual([3, 64]);
    checkpoint.close();
  });

  test('a folder without a tokenizer', async () => {
    rmSync(join(copy('mini-qa'), 'vocab.txt'));
    rmSync(join(folder, 'tokenizer_config.json'));
    const { checkpoint } = await openWeights(folder);
    expect(checkpoint.tokenizer).toEqual({});
    checkpoint.close();
  });

  test.each(['model.safetensors', 'weights', 'model.onnx'])('the weights file itself, called %s', async (name) => {
    copy('mini-qa');
    writeFileSync(join(folder, name), readFileSync('fixtures/mini-qa/model.safetensors'));
    const { checkpoint } = await openWeights(join(folder, name));
    expect(checkpoint.path).toBe(join(folder, name));
    expect(checkpoint.tensors.get('qa_outputs.bias')?.shape).toEqual([2]);
    checkpoint.close();
  });

  test('shards as one model', async () => {
    const { checkpoint } = await openWeights('fixtures/mini-qa-sharded');
    const names: string[] = [];
    for (let n = 1; n <= 6; n++) {
      const shard = openFile(`fixtures/mini-qa-sharded/model-0000${n}-of-00006.safetensors`);
      for (const [name, tensor] of readSafetensors(shard)) {
        names.push(name);
        expect(checkpoint.tensors.get(name)?.bytes(), name).toEqual(tensor.bytes());
      }
      shard.close();
    }
    expect([...checkpoint.tensors.keys()]).toEqual(names);
    checkpoint.close();
  });

  test('shards by their index', async () => {
    const index = 'fixtures/mini-qa-sharded/model.safetensors.index.json';
    const { checkpoint } = await openWeights(index);
    expect(checkpoint.path).toBe(index);
    expect(checkpoint.tensors.get('qa_outputs.bias')?.shape).toEqual([2]);
    checkpoint.close();
  });

  test('norms under their names of 2018', async () => {
    copy('mini-qa');
    const bytes = readFileSync('fixtures/mini-qa/model.safetensors', 'latin1');
    // Names of equal length keep the header's length right: `weight` is as long as ` gamma` with a space after the mark.
    const old = bytes
      .replaceAll('LayerNorm.weight":', 'LayerNorm.gamma": ')
      .replaceAll('LayerNorm.bias":', 'LayerNorm.beta":');
    writeFileSync(join(folder, 'model.safetensors'), old, 'latin1');
    const { checkpoint } = await openWeights(folder);
    expect(checkpoint.tensors.get('mobilebert.embeddings.LayerNorm.weight')?.shape).toEqual([40]);
    expect(checkpoint.tensors.get('mobilebert.embeddings.LayerNorm.bias')?.shape).toEqual([40]);
    expect([...checkpoint.tensors.keys()].filter((name) => /gamma|beta/.test(name))).toEqual([]);
    checkpoint.close();
  });
});

describe('refuses', () => {
  test('a path that does not exist', async () => {
    await expect(openWeights(join(folder, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a folder without a model', async () => {
    await expect(openWeights(folder)).rejects.toMatchObject({
      code: 'UNKNOWN_FORMAT',
      message: `${folder}: holds no model that mbert knows`,
    });
  });

  test('a file that is no model', async () => {
    const path = join(folder, 'notes.txt');
    writeFileSync(path, 'hello');
    await expect(openWeights(path)).rejects.toMatchObject({ code: 'UNKNOWN_FORMAT' });
  });

  test.each(['<!DOCTYPE html><html>', '\n<html lang="en">'])('an error page saved as the model: %s', async (page) => {
    writeFileSync(join(copy('mini-qa'), 'model.safetensors'), page);
    await expect(openWeights(folder)).rejects.toMatchObject({
      code: 'MALFORMED',
      message: `${join(folder, 'model.safetensors')}: is an HTML page, not the model`,
    });
  });

  test('a config.json of the wrong kind', async () => {
    writeFileSync(join(copy('mini-qa'), 'config.json'), '[1]');
    await expect(openWeights(folder)).rejects.toThrow(`${join(folder, 'config.json')}: is an array, not a JSON object`);
  });
});

describe('refuses shards', () => {
  const INDEX = 'model.safetensors.index.json';
  const QA = 'qa_outputs.weight';
  const LAST = 'model-00006-of-00006.safetensors';

  async function openWith(changes: Readonly<Record<string, unknown>>): Promise<unknown> {
    const path = join(copy('mini-qa-sharded'), INDEX);
    const index = JSON.parse(readFileSync(path, 'utf8')) as { weight_map: Record<string, unknown> };
    const weightMap = { ...index.weight_map, ...changes };
    writeFileSync(path, JSON.stringify({ weight_map: weightMap }));
    return openWeights(folder);
  }

  test.each(['../model.safetensors', '/etc/passwd', 'a/b.safetensors', 'a\\b.safetensors', '..', '', 'C:x'])(
    'outside the folder: "%s"',
    async (shard) => {
      await expect(openWith({ [QA]: shard })).rejects.toThrow(
        `${join(folder, INDEX)}: file name "${shard}" leaves the model's folder`,
      );
    },
  );

  test.each<[what: string, changes: Readonly<Record<string, unknown>>, problem: string]>([
    ['that lack a listed tensor', { 'x.weight': LAST }, `x.weight: is said to be in ${LAST}, which does not hold it`],
    ['that hold an unlisted tensor', { [QA]: undefined }, 'qa_outputs.weight: is not listed in'],
    ['whose name is a number', { [QA]: 6 }, 'qa_outputs.weight: shard 6 is not a file name'],
    ['by the thousand', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i, `${i}.x`])), 'names 1006 shards'],
  ])('%s', async (_, changes, problem) => {
    await expect(openWith(changes)).rejects.toThrow(problem);
  });

  test('whose index has no map', async () => {
    writeFileSync(join(copy('mini-qa-sharded'), INDEX), '{"weight_map": []}');
    await expect(openWeights(folder)).rejects.toThrow(`${join(folder, INDEX)}: has no weight_map object`);
  });
});
