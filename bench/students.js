// How a student's start and the strategy of its training tell, by agreement with its teacher on LABELLED.tsv:
//   node bench/students.js starts BERT_FOLDER TEXTS.txt LABELLED.tsv [steps=500] [steps from scratch=2000] [seed=1]
//   node bench/students.js strategies MOBILEBERT_FOLDER TEXTS.txt LABELLED.tsv [steps=150] [seed=1]
// "strategies" takes a MobileBERT with LayerNorm and GELU and trains one with NoNorm and ReLU. What starts are fitted to is
// not learnt from: the first 256 texts, or 768. Curves are on texts that are held out of training, single and joined.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convert, distill, extract } from '../dist/index.js';
import { table } from './table.js';

/** @typedef {import('../dist/index.js').DistillResult} DistillResult */
/** @typedef {import('../dist/index.js').DistillOptions} DistillOptions */

const [what, teacher, texts, data, ...numbers] = process.argv.slice(2);
if (
  teacher === undefined ||
  texts === undefined ||
  data === undefined ||
  !['starts', 'strategies'].includes(what ?? '')
)
  throw new Error('usage: node bench/students.js starts|strategies MODEL_FOLDER TEXTS.txt LABELLED.tsv [numbers]');
const folder = mkdtempSync(join(tmpdir(), 'mbert-students-'));
const path = (/** @type {string} */ name) => join(folder, name);
const percent = (/** @type {number | undefined} */ share) => (share === undefined ? '-' : (100 * share).toFixed(2));

/** Writes the first texts and the others to files of their own. */
function splitTexts(/** @type {number} */ count) {
  const lines = readFileSync(texts ?? '', 'utf8').split('\n');
  const [fit, learn] = [path('fit.txt'), path('learn.txt')];
  writeFileSync(fit, lines.slice(0, count).join('\n'));
  writeFileSync(learn, lines.slice(count).join('\n'));
  return { fit, learn };
}

/** @type {(name: string, options: Pick<DistillOptions, 'student' | 'texts' | 'steps' | 'output'> & Partial<DistillOptions>) => Promise<DistillResult>} */
async function train(name, options) {
  const result = await distill({ teacher: teacher ?? '', data, ...options });
  const { before, after, watched } = result;
  const curve = watched.curve.map(
    ({ step, agreement, sqnrDb }) => `${step}: ${percent(agreement)} ${sqnrDb.toFixed(1)} dB`,
  );
  console.log(`${name}: ${curve.join(', ')}`);
  rows.push([
    name,
    String(options.steps),
    percent(before?.agreement),
    percent(after?.agreement),
    after?.sqnrDb.toFixed(1) ?? '-',
    percent(after?.accuracy?.changed),
  ]);
  return result;
}

const rows = [['start', 'steps', 'agrees % at first', 'trained', 'dB', 'accuracy %']];

/** Students of three layers and half the width, cut out of the teacher in several ways, and from scratch. */
async function starts(steps = 500, scratch = 2000, seed = 1) {
  const { fit, learn } = splitTexts(256);
  const shape = path('shape.json');
  const { hidden_size: hidden, intermediate_size: neurons } = JSON.parse(
    readFileSync(join(teacher ?? '', 'config.json'), 'utf8'),
  );
  writeFileSync(
    shape,
    JSON.stringify({ num_hidden_layers: 3, hidden_size: hidden / 2, intermediate_size: neurons / 2 }),
  );
  let reached = Number.POSITIVE_INFINITY;
  for (const [name, method, recover, rate] of /** @type {const} */ ([
    ['scratch', 'scratch', false, 1e-3],
    ['random channels', 'random', false, 5e-4],
    ['importance', 'importance', false, 5e-4],
    ['importance, recover', 'importance', true, 5e-4],
  ])) {
    const student = path(`start ${name}`);
    await extract({
      source: teacher ?? '',
      output: student,
      shape,
      method,
      recover,
      calibrate: fit,
      samples: 256,
      seed,
    });
    const count = method === 'scratch' ? scratch : steps;
    const { watched } = await train(name, { student, texts: learn, output: path(name), steps: count, rate, seed });
    if (method === 'scratch') {
      reached = watched.curve.at(-1)?.agreement ?? reached;
      continue;
    }
    const first = watched.curve.find(({ agreement }) => agreement >= reached);
    console.log(`  as near as from scratch in the end after ${first?.step ?? `more than ${count}`} steps`);
  }
}

/** The three strategies, from gains and biases of the norms as they are, and from the closed form. */
async function strategies(steps = 150, seed = 1) {
  const { fit, learn } = splitTexts(768);
  const copied = path('copied');
  cpSync(teacher ?? '', copied, { recursive: true });
  const config = JSON.parse(readFileSync(join(copied, 'config.json'), 'utf8'));
  rmSync(join(copied, 'config.json'));
  writeFileSync(
    join(copied, 'config.json'),
    JSON.stringify({ ...config, normalization_type: 'no_norm', hidden_act: 'relu' }),
  );
  const fitted = path('fitted.onnx');
  // With its norms unfolded each layer gives what the teacher's gives.
  const passes = 'layer-norm-to-no-norm,gelu-to-relu,-fold-no-norm';
  await convert({ source: teacher ?? '', output: fitted, passes, calibrate: fit, samples: 768 });
  // A student that is near its teacher bears less: the rate of `distill`, and that of `convert --distill`.
  for (const [student, rate] of /** @type {const} */ ([
    [copied, 2e-4],
    [fitted, 8e-5],
  ])) {
    for (const strategy of /** @type {const} */ (['auxiliary', 'joint', 'progressive'])) {
      const name = `${student === fitted ? 'closed form' : 'copied'}, ${strategy}`;
      await train(name, { student, texts: learn, output: path(`${name}.onnx`), steps, strategy, rate, seed });
    }
  }
}

try {
  const given = numbers.map(Number);
  if (what === 'starts') await starts(given[0], given[1], given[2]);
  else await strategies(given[0], given[1]);
  console.log(table(rows));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
