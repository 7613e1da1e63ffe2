import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { loadModel } from '../../src/pipelines/evaluate/loaded-model.ts';
import { rowReader } from '../../src/pipelines/evaluate/row-reader.ts';
import { fixture } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** Classifiers with a tokenizer of fixtures/tokenizers, and logits of transformers' pipeline on texts and pairs. */
const CASES = readdirSync('fixtures').filter((name) => name.startsWith('answers-'));

interface Answers {
  readonly tokenizer: string;
  readonly max_length: number;
  readonly answers: readonly (readonly [text: string, second: string | null, logits: readonly number[]])[];
}

/** The folder of a model with its tokenizer, as it lies on the hub, and a file of each text or pair. */
function modelFolder(name: string) {
  const source = mkdtempSync(join(folder, 'model-'));
  const answers = JSON.parse(readFileSync(join(fixture(name), 'answers.json'), 'utf8')) as Answers;
  for (const part of [fixture(name), `fixtures/tokenizers/${answers.tokenizer}`]) {
    cpSync(unpacked(part), source, { recursive: true });
  }
  const files = answers.answers.map(([text, second], i) => {
    const path = join(source, `${i}.jsonl`);
    writeFileSync(path, JSON.stringify(second === null ? { text } : { sentence1: text, sentence2: second }));
    return path;
  });
  return { source, files, answers };
}

describe.each(['onnx', 'tflite'] as const)('from texts to logits as transformers’ pipeline, %s', (target) => {
  test.each(CASES)('%s', async (name) => {
    const { source, files, answers } = modelFolder(name);
    const output = join(source, `written.${target}`);
    await convert({ source, output, ...(target === 'tflite' && { sequenceLength: answers.max_length }) });
    const written = await openModel(output);
    const graph = written.reference();
    const reader = rowReader(written, graph, { maxLength: answers.max_length });
    const model = await loadModel(output, graph, { task: undefined, pad: reader.tokenizer.pad, mask: undefined });
    let worst = 0;
    for (const [i, file] of files.entries()) {
      const [row] = reader.read(file).rows;
      if (row === undefined) throw new Error(`${file} holds no text`);
      const found = readF32((await model.outputs(row)).get('logits') as Tensor);
      answers.answers[i]?.[2].forEach((logit, at) => {
        worst = Math.max(worst, Math.abs(logit - (found[at] ?? Number.NaN)));
      });
    }
    await model.close();
    written.close();
    expect(worst).toBeLessThan(1e-4);
  });
});
