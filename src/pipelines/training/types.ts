import type { Graph } from '../../ir/graph.ts';
import type { StepCount } from '../../options/step-count.ts';
import type { View } from '../../samples/views.ts';
import type { AdamState } from '../../solve/adam.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { LabelledRow } from '../evaluate/sample-sets.ts';
import type { PlateauState } from './schedule.ts';
import type { Strategy } from './stages.ts';
import type { TaughtLayer, TrainedArray } from './trained.ts';
import type { TrialResult } from './trial.ts';

/** How a student is trained. */
export interface TrainingPlan {
  readonly strategy: Strategy;
  readonly steps: StepCount;
  readonly views: readonly View[];
  /** Whether labels of the texts are learnt from as well. */
  readonly hasLabels: boolean;
  /** Whether tables of words and token types are trained. */
  readonly trainsTables: boolean;
  /** The highest rate of learning: how far a step moves a weight of a linear that reads 256 values. */
  readonly rate: number;
  /** How far it moves biases and the gains of norms, as a multiple of that. */
  readonly vectorRate: number;
  readonly seed: number;
  /** Longest text, in tokens. */
  readonly maxLength: number;
  /** Names of constants that stay as they are, as biases that a folder has no place for. Default: none. */
  readonly frozen?: readonly string[] | undefined;
}

/** Teacher and student, and what the one learns from the other. */
export interface TrainingJob extends FeedOptions {
  readonly teacher: Graph;
  readonly student: Graph;
  readonly layers: readonly TaughtLayer[];
  readonly plan: TrainingPlan;
  readonly texts: readonly LabelledRow[];
  /** Texts that are not learnt from; without any, nothing is measured. */
  readonly heldOut: readonly LabelledRow[];
  /** Told after each step; `total` is undefined where it is not known. */
  readonly progress: (step: string, done: number, total: number | undefined) => void;
}

/** The student on held-out texts after some steps. */
export interface CurvePoint extends TrialResult {
  readonly step: number;
}

/** A student's training. */
export interface TrainingResult {
  /** The trained arrays, by the names of the student's constants. */
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  readonly stages: readonly { readonly name: string; readonly steps: number }[];
  /** Measurements from before the first step on; empty without held-out texts. */
  readonly curve: readonly CurvePoint[];
  /** The measurement of what comes out; undefined without held-out texts. */
  readonly after: CurvePoint | undefined;
  /** Number of held-out texts, those joined of two counted. */
  readonly heldOut: number;
  /** The end of the training, from which a call that was interrupted after it goes on. */
  readonly state: TrainingState;
}

/** The arrays that did best on held-out texts, and after which step. */
export interface BestArrays {
  readonly step: number;
  readonly arrays: readonly TrainedArray[];
}

/** Place of a training, from which it goes on as if it had not been interrupted. */
export interface TrainingState {
  /** Number of steps in all; undefined for as many as held-out text gains by. */
  readonly steps: number | undefined;
  /** Most steps, where their number is not given. */
  readonly most: number;
  /** Index of the present stage. */
  readonly stage: number;
  /** Steps of the present stage. */
  readonly done: number;
  /** Steps of the stages before. */
  readonly before: readonly number[];
  readonly curve: readonly CurvePoint[];
  /** What is trained, projections included. */
  readonly arrays: readonly TrainedArray[];
  /** Names of what the present stage trains; the order of Adam's arrays. */
  readonly names: readonly string[];
  /** Undefined where the present stage has not begun. */
  readonly adam: AdamState | undefined;
  /** Present where the number of steps is not given, with the best arrays so far and, until the rate falls, an average. */
  readonly plateau?: PlateauState | undefined;
  readonly best?: BestArrays | undefined;
  readonly average?: readonly TrainedArray[] | undefined;
}

/** Keeps a training's state, so that another call can go on from there. */
export interface Checkpoints {
  /** State to go on from; undefined to begin anew. */
  readonly state: TrainingState | undefined;
  /** Number of steps after which the state is saved, again and again. */
  readonly every: number;
  /** Saves a state at once, and without waiting: a signal ends the process behind it. */
  save(state: TrainingState): void;
  /** Told that a signal ended the process and the state is saved. */
  ended(steps: number): void;
}
