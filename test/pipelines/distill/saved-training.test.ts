import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTraining, saveTraining } from '../../../src/pipelines/distill/saved-training.ts';
import type { TrainingState } from '../../../src/pipelines/training/types.ts';
import { temporaryFolder } from '../written.ts';

const path = join(temporaryFolder(), 'student.training');

test('the state of a student that began as its teacher is read as it was saved, infinite decibels and all', () => {
  const array = { name: 'weight', shape: [2], values: Float32Array.of(1, 2) };
  const state: TrainingState = {
    steps: 7,
    most: 9,
    stage: 0,
    done: 2,
    before: [],
    curve: [{ step: 0, sqnrDb: Number.POSITIVE_INFINITY, agreement: 1, agreementOf: 'choices' as const }],
    arrays: [array],
    names: ['weight'],
    adam: { steps: 2, means: [Float32Array.of(3, 4)], squares: [Float32Array.of(5, 6)] },
    plateau: { most: 9, without: 0, best: Number.POSITIVE_INFINITY },
    best: { step: 0, arrays: [array] },
    average: [{ ...array, values: Float32Array.of(7, 8) }],
  };
  saveTraining(path, 'job', state);
  expect(readTraining(path, 'job')).toMatchObject(state);
  const falling = { ...state, plateau: { ...state.plateau, fallsFrom: 2 }, average: undefined } as TrainingState;
  saveTraining(path, 'job', falling);
  expect(readTraining(path, 'job')).toMatchObject(falling);
  expect(() => readTraining(path, 'another')).toThrow('is of a training with other models, texts or options');
});
