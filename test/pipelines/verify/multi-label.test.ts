import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommand } from '../../commands/run.ts';
import { problemsOf, type Schema } from '../../diff/json-schema.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const source = join(folder, 'topics');
cpSync('fixtures/hf-seqcls', source, { recursive: true });
const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
writeFileSync(join(source, 'config.json'), JSON.stringify({ ...config, problem_type: 'multi_label_classification' }));
const run = (...argv: readonly string[]) => runCommand(folder, ...argv);

test('labels of which any number applies are called decisions, in logits and in probabilities', async () => {
  const file = join(folder, 'topics.onnx');
  const written = await run('convert', source, '-o', file, '--verify');
  expect(written.code).toBe(0);
  expect(written.out).toMatch(/SQNR +decisions/);
  const same = await run('verify', file, '--against', source, '--samples', '8');
  expect(same.out).toMatch(/SQNR +decisions\n/);
  expect(same.out).toContain('equal answers  100.00 %');

  const softened = join(folder, 'topics.tflite');
  const made = await run('convert', source, '-o', softened, '--softmax', '--sequence-length', '16', '--verify');
  expect(made.out).toMatch(/probability .* 100.00 %\n/);
  // The logits of the source are compared as the probabilities that they stand for.
  const argv = ['verify', softened, '--against', source, '--samples', '8', '--json'];
  const result = JSON.parse((await run(...argv)).out);
  expect(result).toMatchObject({ agreement: 1, outputs: [{ agreement: 1, choices: 'decisions' }] });
  expect(result.outputs[0].maxAbsError).toBeLessThan(1e-5);
  const schema = JSON.parse(readFileSync('schemas/verify.schema.json', 'utf8')) as Schema;
  expect(problemsOf(result, schema)).toEqual([]);
});

test('alone, its labels are refused as what they are', async () => {
  const data = join(folder, 'labelled.tsv');
  writeFileSync(data, 'sentence\tlabel\na b c\t0\nd e\t1\n');
  const { code, err } = await run('verify', source, '--data', data);
  expect(code).toBe(2);
  expect(err).toContain("its labels are not read: any number of the model's labels applies to a text");
  expect(err).not.toContain('has no labels');
});
