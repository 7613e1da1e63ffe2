// MediaPipe and ONNX Runtime Web in a real Chromium open what mbert writes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as node from 'onnxruntime-node';
import { caseOf, cosine, maxError } from './answers.js';
import { openBrowser } from './page.js';
import { at, HERE, mbert, SST2, sourceOf, tfliteFile } from './workspace.js';

const CALIBRATED = ['quantize', '--scheme', 'int8', '--calibrate', SST2.calibration];
const DYNAMIC = ['quantize', '--scheme', 'dynamic'];

let browser;
let page;
before(async () => {
  browser = await openBrowser([at(), HERE]);
  ({ page } = await browser.page());
});
after(() => browser?.close());

/** Runs one of MediaPipe's text tasks in the page: `kind` with a model on each text. */
function mediapipe(kind, model, texts) {
  return page.evaluate(
    async ({ kind, model, texts }) => {
      const tasks = await import('/node_modules/@mediapipe/tasks-text/text_bundle.mjs');
      const files = await tasks.FilesetResolver.forTextTasks('/node_modules/@mediapipe/tasks-text/wasm');
      const task = await tasks[kind].createFromOptions(files, { baseOptions: { modelAssetPath: model } });
      try {
        return texts.map((text) => {
          if (kind === 'TextEmbedder')
            return task.embed(text).embeddings.map(({ floatEmbedding }) => [...floatEmbedding]);
          return task
            .classify(text)
            .classifications.map(({ categories }) =>
              Object.fromEntries(categories.map(({ index, categoryName, score }) => [categoryName || index, score])),
            );
        });
      } finally {
        task.close();
      }
    },
    { kind, model: `/${model}`, texts },
  );
}

describe("MediaPipe's TextEmbedder gives sentence-transformers' vectors of all-MiniLM-L6-v2", () => {
  const { model, texts, answers } = caseOf('all-MiniLM-L6-v2');
  for (const [name, argv, leastCosine] of [
    ['f32', ['convert'], 0.999999],
    ['f16', ['convert', '--dtype', 'f16'], 0.99999],
    ['dynamic', DYNAMIC, 0.998],
    ['int8', CALIBRATED, 0.995],
  ]) {
    test(name, async (context) => {
      const found = await mediapipe('TextEmbedder', tfliteFile(model, `minilm-${name}`, argv), texts);
      assert.deepEqual(
        found.map((embeddings) => embeddings.length),
        texts.map(() => 1),
      );
      const cosines = found.map(([vector], i) => cosine(vector, answers[i]));
      context.diagnostic(`cosines ${cosines.map((value) => value.toFixed(7)).join(' ')}`);
      assert.ok(Math.min(...cosines) > leastCosine, `${cosines}`);
    });
  }
});

describe("MediaPipe's TextClassifier gives transformers' probabilities of mobilebert-demo", () => {
  const { model, texts } = caseOf('mobilebert-demo');
  for (const [name, argv, mostError] of [
    // MobileBERT's trigram reads the embedding of padding behind the last token, which there is none of in the oracle.
    ['f32', ['convert', '--softmax'], 1e-4],
    ['dynamic', [...DYNAMIC, '--softmax'], 0.05],
    ['int8', [...CALIBRATED, '--softmax'], 0.05],
  ]) {
    test(name, async (context) => {
      const file = tfliteFile(model, `demo-${name}`, argv);
      const found = (await mediapipe('TextClassifier', file, texts)).map(([scores]) => scores);
      const wanted = caseOf(model).answers;
      const errors = found.map((scores, i) => {
        assert.deepEqual(Object.keys(scores).toSorted(), Object.keys(wanted[i]).toSorted());
        return Math.max(...Object.keys(wanted[i]).map((label) => Math.abs(scores[label] - wanted[i][label])));
      });
      context.diagnostic(`largest error of a score ${Math.max(...errors).toExponential(1)}`);
      assert.ok(Math.max(...errors) < mostError, `${errors}`);
    });
  }
});

test("MediaPipe's TextClassifier opens a DistilBERT, which has two inputs and not three", async () => {
  const { model, texts, answers } = caseOf('distilbert-seqcls');
  mbert(['convert', sourceOf(model), '-o', 'distilbert', '--layout', 'mediapipe']);
  // Padded to its length, which the oracle is not, and a DistilBERT does not see.
  const found = await mediapipe('TextClassifier', 'distilbert/model.tflite', texts);
  for (const [i, [scores]] of found.entries()) {
    // Its config names no classes, so they have their numbers alone.
    const [given, wanted] = [Object.values(scores), Object.values(answers[i])];
    assert.ok(maxError(given, wanted) < 1e-5, `${given} and not ${wanted}`);
  }
});

describe("ONNX Runtime Web gives ONNX Runtime's outputs", () => {
  // Where activations are rounded to 8 bits, sums in another order put a few of them on the other side of an edge.
  for (const [model, name, argv, leastCosine] of [
    ['all-MiniLM-L6-v2', 'f32', ['convert'], 0.9999999],
    ['all-MiniLM-L6-v2', 'f16', ['convert', '--dtype', 'f16'], 0.9999999],
    ['all-MiniLM-L6-v2', 'dynamic', DYNAMIC, 0.9999999],
    ['all-MiniLM-L6-v2', 'int8', CALIBRATED, 0.999],
    ['all-MiniLM-L6-v2', 'w4', ['quantize', '--scheme', 'w4'], 0.999],
    ['mobilebert-demo', 'f32', ['convert'], 0.9999999],
    ['mobilebert-demo', 'int8', CALIBRATED, 0.9999999],
  ]) {
    test(`${model}, ${name}`, async (context) => {
      const file = `${model}-${name}.onnx`;
      const [command, ...flags] = argv;
      mbert([command, sourceOf(model), '-o', file, ...flags]);
      const session = await node.InferenceSession.create(at(file), { logSeverityLevel: 4 });
      const ids = [2045, 1037, 4937, 7719, 3000, 0, 0, 0, 2023, 2003, 2146, 6251, 1012, 102, 999, 7].map(
        (id) => id % 10000,
      );
      const values = {
        input_ids: ids,
        attention_mask: ids.map((id) => Number(id > 0)),
        token_type_ids: ids.map(() => 0),
      };
      const feeds = Object.fromEntries(
        session.inputNames.map((input) => [
          input,
          new node.Tensor('int64', BigInt64Array.from(values[input], BigInt), [2, 8]),
        ]),
      );
      const wanted = await session.run(feeds);
      const found = await page.evaluate(
        async ({ file, values, inputs }) => {
          const ort = await import('/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs');
          ort.env.wasm.numThreads = 1;
          const session = await ort.InferenceSession.create(file, { executionProviders: ['wasm'] });
          const feeds = Object.fromEntries(
            inputs.map((input) => [input, new ort.Tensor('int64', BigInt64Array.from(values[input], BigInt), [2, 8])]),
          );
          const outputs = await session.run(feeds);
          await session.release();
          return Object.fromEntries(
            Object.entries(outputs).map(([name, { data, dims }]) => [name, { dims, data: [...data] }]),
          );
        },
        { file: `/${file}`, values, inputs: session.inputNames },
      );
      await session.release();
      assert.deepEqual(Object.keys(found), Object.keys(wanted));
      for (const [output, { dims, data }] of Object.entries(wanted)) {
        assert.deepEqual(found[output].dims, dims);
        const close = cosine(found[output].data, data);
        context.diagnostic(`${output}: cosine ${close.toFixed(8)}`);
        assert.ok(close > leastCosine, `${output}: ${close}`);
      }
    });
  }
});
