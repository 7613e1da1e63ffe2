import { expect, test } from 'vitest';
import { addLabels, Copies } from '../../../src/pipelines/training/compared.ts';
import { Distances } from '../../../src/pipelines/training/distances.ts';
import { trainedArrays } from '../../../src/pipelines/training/trained.ts';
import { openTrial } from '../../../src/pipelines/training/trial.ts';
import { graphOf } from '../../core.ts';

/** A classifier whose answers are of its biases alone. */
const ending = (op: string, biases: string) =>
  graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(t f32[9, 4] #1, input_ids)
  pooled = mean(words) {axis: 1, keepDims: false}
  l = linear(pooled, w f32[3, 4] {${new Array(12).fill(0).join(', ')}}, b f32[3] {${biases}})
  y = ${op}(l)
return y: y`);

test('labels that a model gives as probabilities are decided at a half', async () => {
  const [teacher, student] = [ending('sigmoid', '-5, 5, -5'), ending('sigmoid', '5, 5, -5')];
  const trial = await openTrial(teacher, student, {
    ...{ task: 'sequence-classification', logitsKind: 'multi-label', pad: 0, mask: undefined },
    rows: [{ inputIds: [1, 2, 3], tokenTypeIds: [0, 0, 0] }],
    arrays: new Map(trainedArrays(student, { withTables: false }).map((array) => [array.name, array])),
    trainsTables: false,
  });
  const { agreement } = await trial.measure();
  await trial.close();
  expect(agreement).toBeCloseTo(2 / 3, 6);
});

test('labels are not learnt by a student that makes probabilities of its logits', () => {
  const student = ending('softmax', '0, 0, 0');
  const building = {
    graph: student,
    distances: new Distances(student, student.inputs),
    parameterOf: () => expect.unreachable(),
  };
  expect(() => addLabels(building, new Copies(student, new Map()))).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED', message: '--labels: g: y is probabilities' }),
  );
});
