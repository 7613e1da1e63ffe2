import { existsSync, rmSync } from 'node:fs';
import { MbertError, malformed } from '../../errors.ts';
import { readMetadata, readSafetensors } from '../../formats/safetensors.ts';
import { safetensorsChunks } from '../../formats/safetensors-encode.ts';
import { withFile, writeNow } from '../../io/files.ts';
import { undoAtEnd } from '../../io/undo.ts';
import { type Tensor, takeF32, tensorOf } from '../../ir/tensor.ts';
import type { AdamState } from '../../solve/adam.ts';
import type { PlateauState } from '../training/schedule.ts';
import type { TrainedArray } from '../training/trained.ts';
import type { Checkpoints, CurvePoint, TrainingResult, TrainingState } from '../training/types.ts';

/** The key of the place of a training in the metadata of its file. */
const KEY = 'mbert.training';

/** The SQNR of equal answers, which JSON has no number for: it writes null. */
const EQUAL = Number.POSITIVE_INFINITY;

/** What a state's file says besides its arrays. */
interface Place extends Pick<TrainingState, 'steps' | 'most' | 'stage' | 'done' | 'before' | 'names'> {
  readonly curve: readonly (Omit<CurvePoint, 'sqnrDb' | 'agreement'> & {
    readonly sqnrDb: number | null;
    readonly agreement: number | null;
  })[];
  readonly plateau: (Omit<PlateauState, 'best'> & { readonly best: number | null }) | undefined;
  /** Tells models, texts and options apart. */
  readonly job: string;
  /** Names of all arrays, in their order. */
  readonly arrays: readonly string[];
  readonly adamSteps: number | undefined;
  readonly bestStep: number | undefined;
  readonly hasAverage: boolean;
}

/** The file beside an output in which an interrupted training is kept. */
export function statePath(output: string): string {
  return `${output.replace(/[/\\]+$/, '')}.training`;
}

/** Writes a state at once and as a whole: weights, Adam's means and squares, the best weights so far, the running average. */
export function saveTraining(path: string, job: string, state: TrainingState): void {
  const { steps, most, stage, done, before, curve, arrays, names, adam, plateau, best, average } = state;
  const place: Place = {
    job,
    steps,
    most,
    stage,
    done,
    before,
    curve,
    names,
    plateau,
    arrays: arrays.map(({ name }) => name),
    adamSteps: adam?.steps,
    bestStep: best?.step,
    hasAverage: average !== undefined,
  };
  const tensors = new Map<string, Tensor>();
  const add = (kind: string, name: string, shape: readonly number[], values: Float32Array) =>
    tensors.set(`${kind} ${name}`, tensorOf('f32', shape, values));
  for (const { name, shape, values } of arrays) add('now', name, shape, values);
  for (const { name, shape, values } of best?.arrays ?? []) add('best', name, shape, values);
  for (const { name, shape, values } of average ?? []) add('average', name, shape, values);
  for (const [i, name] of names.entries()) {
    const [mean, square] = [adam?.means[i], adam?.squares[i]];
    if (mean) add('mean', name, [mean.length], mean);
    if (square) add('square', name, [square.length], square);
  }
  writeNow(path, safetensorsChunks(tensors, { [KEY]: JSON.stringify(place) }));
}

/**
 * Reads a state. Throws USAGE where there is none, MISMATCH where it is of another training: other models, texts or
 * options would go on from it to something that no uninterrupted call gives.
 */
export function readTraining(path: string, job: string): TrainingState {
  if (!existsSync(path)) {
    throw new MbertError('USAGE', `--resume: there is no ${path}`, {
      hint: 'an interrupted call leaves it beside its output; leave --resume out to begin anew',
    });
  }
  return withFile(path, (file) => {
    const tensors = readSafetensors(file);
    const text = readMetadata(file).get(KEY);
    if (text === undefined) throw malformed(path, 'holds no training that could go on');
    const place = JSON.parse(text) as Place;
    if (place.job !== job) {
      throw new MbertError('MISMATCH', `${path}: is of a training with other models, texts or options`, {
        hint: 'say the same as in the call that was interrupted, or delete the file and leave --resume out to begin anew',
      });
    }
    const valuesOf = (kind: string, name: string) => {
      const tensor = tensors.get(`${kind} ${name}`);
      if (tensor === undefined) throw malformed(path, `has no ${kind} ${name}`);
      return { name, shape: tensor.shape, values: takeF32(tensor) };
    };
    const all = (kind: string, names: readonly string[]): TrainedArray[] => names.map((name) => valuesOf(kind, name));
    const { adamSteps, bestStep, arrays, names } = place;
    const adam: AdamState | undefined =
      adamSteps === undefined
        ? undefined
        : {
            steps: adamSteps,
            means: all('mean', names).map(({ values }) => values),
            squares: all('square', names).map(({ values }) => values),
          };
    const { curve, plateau } = place;
    return {
      ...place,
      curve: curve.map(({ sqnrDb, agreement, ...point }) => ({
        ...point,
        sqnrDb: sqnrDb ?? EQUAL,
        agreement: agreement ?? Number.NaN,
      })),
      plateau: plateau && { ...plateau, best: plateau.best ?? EQUAL },
      arrays: all('now', arrays),
      adam,
      best: bestStep === undefined ? undefined : { step: bestStep, arrays: all('best', arrays) },
      average: place.hasAverage ? all('average', names) : undefined,
    };
  });
}

/** Throws USAGE where a state is there that nobody asked to go on from: a new training would replace it. */
export function refuseForgotten(path: string): void {
  if (!existsSync(path)) return;
  throw new MbertError('USAGE', `${path}: holds a training that was interrupted`, {
    hint: 'say --resume to go on, or delete the file to begin anew',
  });
}

/** Does what follows a training. A signal that ends the process meanwhile saves the end of the training. */
export async function keepingTraining<T>(
  { state, stages }: Pick<TrainingResult, 'state' | 'stages'>,
  checkpoints: Checkpoints,
  work: () => Promise<T>,
): Promise<T> {
  const steps = stages.reduce((sum, stage) => sum + stage.steps, 0);
  const entry = undoAtEnd(() => {
    if (steps === 0) return;
    checkpoints.save(state);
    checkpoints.ended(steps);
  });
  try {
    return await work();
  } finally {
    entry.forget();
  }
}

/** Removes a state that is not needed any more. */
export function removeTraining(path: string): void {
  rmSync(path, { force: true });
}
