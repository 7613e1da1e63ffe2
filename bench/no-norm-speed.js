// How much faster a model is whose LayerNorm and GELU were replaced, beside our own best files of the original:
//   node bench/no-norm-speed.js MODEL_FOLDER CALIBRATION.txt FITTED_FOLDER
// FITTED_FOLDER is what `mbert convert MODEL_FOLDER -o FITTED_FOLDER/ --sequence-length 64 --calibrate CALIBRATION.txt
// --passes layer-norm-to-no-norm,gelu-to-relu` has written: model.onnx and model.tflite.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { convert, quantize, runtimeFor, tensorOf } from '../dist/index.js';
import { median, table } from './table.js';

const [model, calibrate, fitted] = process.argv.slice(2);
if (model === undefined || calibrate === undefined || fitted === undefined)
  throw new Error('usage: node bench/no-norm-speed.js MODEL_FOLDER CALIBRATION.txt FITTED_FOLDER');
const SEQUENCE_LENGTH = 64;
const WARM_UP = 3;
const ROUNDS = 50;

/** @type {(values: readonly number[], share: number) => number} */
const quantile = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;

const ids = Int32Array.from({ length: SEQUENCE_LENGTH }, (_, i) => 1000 + ((i * 7919) % 9000));
const all = new Map([
  ['input_ids', tensorOf('i32', [1, SEQUENCE_LENGTH], ids)],
  ['attention_mask', tensorOf('i32', [1, SEQUENCE_LENGTH], new Int32Array(SEQUENCE_LENGTH).fill(1))],
  ['token_type_ids', tensorOf('i32', [1, SEQUENCE_LENGTH], new Int32Array(SEQUENCE_LENGTH))],
]);

const folder = mkdtempSync(join(tmpdir(), 'mbert-no-norm-speed-'));
try {
  const rows = [];
  for (const format of ['onnx', 'tflite']) {
    const path = (/** @type {string} */ name) => join(folder, `${name}.${format}`);
    const shapes = { sequenceLength: SEQUENCE_LENGTH };
    const replaced = join(fitted, `model.${format}`);
    if (!existsSync(replaced)) throw new Error(`${replaced} is not there`);
    // Samples for the ranges only: what integers cost is bench/quantize.js's business.
    const integers = { scheme: /** @type {const} */ ('int8'), calibrate, vocab: join(model, 'vocab.txt') };
    await convert({ source: model, output: path('original-f32'), ...shapes });
    await quantize({ source: model, output: path('original-int8'), ...integers, ...shapes });
    await quantize({ source: replaced, output: path('replaced-int8'), ...integers });
    const paths = [path('original-f32'), replaced, path('original-int8'), path('replaced-int8')];
    const sessions = await Promise.all(paths.map((each) => runtimeFor(each).load(each, { threads: 1 })));
    /** @type {number[][]} */
    const times = paths.map(() => []);
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      for (const [i, session] of sessions.entries()) {
        const feeds = new Map([...all].filter(([name]) => session.inputs.some((input) => input.name === name)));
        const start = process.cpuUsage();
        await session.run(feeds);
        const { user, system } = process.cpuUsage(start);
        if (round >= WARM_UP) times[i]?.push(user + system);
      }
    }
    for (const session of sessions) await session.close();
    for (const [what, before, after] of /** @type {const} */ ([
      ['f32', 0, 1],
      ['int8', 2, 3],
    ])) {
      const ratios = (times[before] ?? []).map((time, i) => time / (times[after]?.[i] ?? Number.NaN));
      rows.push([
        basename(model),
        `${format}, ${what}`,
        (median(times[before] ?? []) / 1000).toFixed(2),
        (median(times[after] ?? []) / 1000).toFixed(2),
        median(ratios).toFixed(2),
        `${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)}`,
      ]);
    }
  }
  console.log(table([['model', 'files', 'original ms', 'replaced ms', 'times as fast', 'quartiles'], ...rows]));
  console.log(`CPU time of one thread, ${ROUNDS} runs of each file in turns, ${SEQUENCE_LENGTH} tokens`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
