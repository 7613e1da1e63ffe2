import { expect, test } from 'vitest';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { startRun } from '../../../src/options/run.ts';
import { applyChanges, type Candidate, WORDS } from '../../../src/pipelines/search/changes.ts';
import { measureForms } from '../../../src/pipelines/search/form-costs.ts';
import { amountsOf, type Score } from '../../../src/pipelines/search/score-candidates.ts';
import { type WritingContext, withWritten } from '../../../src/pipelines/search/write-student.ts';
import { ROWS, spaceOf } from './space.ts';

const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';

test('a form of 4 bits saves less by a layer than by as many numbers of the word table, which has 8', async () => {
  const space = await spaceOf('bert-seqcls');
  const { teacher, blocks, maxPositions } = space;
  const source = 'fixtures/bert-seqcls';
  const model = await openModel(source);
  const context: WritingContext = {
    fitted: [],
    target: 'onnx',
    model,
    source,
    blocks,
    evidence: { calibrate: TEXTS },
    run: startRun({}),
  };
  const scoreOf = (candidate: Candidate): Score => {
    const smaller = copyGraph(teacher);
    applyChanges(smaller, [candidate], space);
    const [before, after] = [amountsOf(teacher, maxPositions), amountsOf(smaller, maxPositions)];
    const saved = {
      weights: before.weights - after.weights,
      vectors: before.vectors - after.vectors,
      operations: before.operations - after.operations,
    };
    return { ...candidate, noise: 0, saved };
  };
  const scores = [
    // Units leave all nodes of a layer, whose names and attributes weigh as much as its numbers here.
    scoreOf({ layer: 0, change: { kind: 'units', group: 'bert.encoder.layer.0.output.dense', kept: 8 } }),
    scoreOf({ layer: WORDS, change: { kind: 'rank', rank: 12 } }),
  ];
  try {
    const [costs] = await withWritten(teacher, { form: 'f32', narrow: [] }, context, ({ path: reference }) =>
      measureForms(space, ['w4'], {
        ...{ scores, reference, inputs: model.build('onnx'), rows: ROWS.slice(0, 8), isTimed: false, context },
        feeds: { task: model.task, logitsKind: model.logitsKind, pad: 0, mask: undefined },
      }),
    );
    expect(costs?.perWeight.layers).toBeGreaterThan(0.25);
    expect(costs?.perWeight.layers).toBeLessThan(0.6);
    expect(costs?.perWeight.words).toBeGreaterThan(0.9);
    // One form alone is compared as well: what it costs is told with each model.
    expect(costs?.noise).toBeGreaterThan(0);
  } finally {
    model.close();
  }
});
