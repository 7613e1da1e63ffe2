import { undoAtEnd } from '../../io/undo.ts';
import { Adam, type Parameter } from '../../solve/adam.ts';
import { RunningAverage } from './running-average.ts';
import {
  Plateau,
  type PlateauAdvice,
  rateAt,
  relativeRate,
  stepsBetweenTrials,
  stepsBetweenTrialsOf,
} from './schedule.ts';
import { openStage, type StageRuns } from './stage-runs.ts';
import type { Stage } from './stages.ts';
import { lessons } from './texts.ts';
import type { TrainedArray } from './trained.ts';
import type { Trial } from './trial.ts';
import type { BestArrays, Checkpoints, CurvePoint, TrainingJob, TrainingState } from './types.ts';

/** Texts of one step: fewer are a poor estimate of the gradient, more take proportionally longer. */
export const BATCH = 32;

/** What a training works on. */
interface TrainingParts {
  /** Number of steps of all stages; undefined for as many as held-out text gains by. */
  readonly steps: number | undefined;
  /** Most steps, where their number is not given. */
  readonly most: number;
  readonly stages: readonly Stage[];
  /** What is trained, by name; changed in place. */
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  readonly trial: Trial | undefined;
  readonly checkpoints: Checkpoints | undefined;
}

/** A training on its way. Between two steps its state is whole, and can be saved. */
export class Training {
  readonly #job: TrainingJob;
  readonly #parts: TrainingParts;
  /** Steps of each stage that is over. */
  readonly #before: number[];
  readonly #curve: CurvePoint[];
  #done = 0;
  #present: Present | undefined;
  #best: BestArrays | undefined;

  constructor(job: TrainingJob, parts: TrainingParts) {
    this.#job = job;
    this.#parts = parts;
    const state = parts.checkpoints?.state;
    this.#before = [...(state?.before ?? [])];
    this.#curve = [...(state?.curve ?? [])];
    this.#best = state?.best;
  }

  /** Measurements so far. */
  get curve(): readonly CurvePoint[] {
    return this.#curve;
  }

  /** The stages that are over, with their steps. */
  get stages(): readonly { readonly name: string; readonly steps: number }[] {
    return this.#before.map((steps, i) => ({ name: (this.#parts.stages[i] as Stage).name, steps }));
  }

  /** Trains to the end. */
  async run(): Promise<void> {
    const { stages, checkpoints } = this.#parts;
    if (this.#curve.length === 0) await this.#measureNow();
    // Passes that changed nothing leave nothing to learn.
    if (this.#curve[0]?.sqnrDb === Number.POSITIVE_INFINITY && !this.#job.plan.hasLabels) return;
    const entry = undoAtEnd(() => {
      if (checkpoints === undefined || this.#steps === 0) return;
      checkpoints.save(this.takeState());
      checkpoints.ended(this.#steps);
    });
    try {
      for (let i = this.#before.length; i < stages.length; i++) {
        await this.#runStage(stages[i] as Stage, i === checkpoints?.state?.stage ? checkpoints.state : undefined);
      }
      // Where training went back to its best weights, these are measured already.
      if (this.#best === undefined) await this.#measureNow();
    } finally {
      entry.forget();
    }
  }

  /** The measurement of what comes out; undefined without held-out texts. */
  get after(): CurvePoint | undefined {
    const best = this.#best && this.#curve.find(({ step }) => step === this.#best?.step);
    return best ?? this.#curve.at(-1);
  }

  get #steps(): number {
    return this.#before.reduce((sum, steps) => sum + steps, 0) + this.#done;
  }

  async #runStage(stage: Stage, state: TrainingState | undefined): Promise<void> {
    const { teacher, student, task, logitsKind, pad, plan } = this.#job;
    const { arrays, trial } = this.#parts;
    const runs = await openStage(stage, { teacher, student, task, logitsKind, pad, arrays, ...plan });
    try {
      const plateau = stage.steps === undefined && trial ? await this.#plateauFrom(state) : undefined;
      this.#done = state?.done ?? 0;
      const averaged = state?.plateau ? state.average : plateau && this.#arraysOf(runs);
      const average = averaged && new RunningAverage(this.#arraysOf(runs), state?.average);
      this.#present = { names: runs.names, adam: new Adam(this.#parametersOf(runs), state?.adam), plateau, average };
      await this.#takeSteps(stage, runs, this.#present);
      if (plateau) await this.#takeBest(plateau);
    } finally {
      await runs.close();
    }
    this.#before.push(this.#done);
    this.#done = 0;
    this.#present = undefined;
  }

  async #plateauFrom(state: TrainingState | undefined): Promise<Plateau> {
    if (state?.plateau) return new Plateau(state.plateau);
    await this.#measureNow();
    this.#keepBest();
    // Stages that come before have taken theirs; some are left where these were slow to count.
    const most = Math.max(this.#parts.most - this.#steps, 1);
    return new Plateau({ most, without: 0, best: this.#measured });
  }

  /** The last measurement, in dB. */
  get #measured(): number {
    return this.#curve.at(-1)?.sqnrDb ?? Number.NEGATIVE_INFINITY;
  }

  /** Ends with the weights that were the best, be they the last ones or not. */
  async #takeBest(plateau: Plateau): Promise<void> {
    if (!this.#isMeasured) {
      await this.#measureNow();
      if (plateau.hear(this.#measured, this.#done) === 'keep') this.#keepBest();
    }
    this.#restoreBest();
  }

  #keepBest(): void {
    const arrays = [...this.#parts.arrays.values()].map((array) => ({ ...array, values: array.values.slice() }));
    this.#best = { step: this.#steps, arrays };
  }

  #restoreBest(): void {
    for (const { name, values } of this.#best?.arrays ?? []) this.#parts.arrays.get(name)?.values.set(values);
  }

  #parametersOf({ names }: Pick<StageRuns, 'names'>): Parameter[] {
    const { vectorRate } = this.#job.plan;
    return this.#arraysOf({ names }).map(({ values, shape }) => ({ values, rate: relativeRate(shape, vectorRate) }));
  }

  #arraysOf({ names }: Pick<StageRuns, 'names'>): TrainedArray[] {
    return names.map((name) => this.#parts.arrays.get(name) as TrainedArray);
  }

  async #takeSteps(stage: Stage, runs: StageRuns, present: Present): Promise<void> {
    const { plan, texts, mask } = this.#job;
    const { checkpoints, steps, trial } = this.#parts;
    const { plateau } = present;
    const views = stage.comparesAnswers ? plan.views : (['full'] as const);
    const seed = plan.seed + this.#before.length;
    const drawn = lessons(texts, { size: BATCH, seed, maxLength: plan.maxLength, views, mask });
    for (let i = 0; i < this.#done; i++) drawn.next();
    const every = steps === undefined ? stepsBetweenTrials(trial?.texts ?? 0, BATCH) : stepsBetweenTrialsOf(steps);
    for (;;) {
      const isDue = this.#done > 0 && this.#done % every === 0 && !this.#isMeasured;
      if (isDue) await this.#look(runs, present);
      const limit = stage.steps ?? (plateau as Plateau).end;
      if (this.#done >= limit) return;
      const gradients = await runs.gradients(drawn.next().value);
      const share = plateau ? plateau.rateAt(this.#done) : rateAt(this.#done, limit);
      present.adam.step(
        runs.names.map((name) => gradients.get(name)),
        plan.rate * share,
      );
      this.#done++;
      // Where the rate falls, weights come to rest by themselves.
      if (plateau?.isFalling(this.#done - 1)) present.average = undefined;
      present.average?.add();
      this.#tell(stage, plateau);
      if (checkpoints && this.#steps % checkpoints.every === 0) checkpoints.save(this.takeState());
    }
  }

  #tell(stage: Stage, plateau: Plateau | undefined): void {
    const before = this.#steps - this.#done;
    const steps = plateau ? before + plateau.end : this.#parts.steps;
    const stages = this.#parts.stages.length > 1 ? `, ${stage.name}` : '';
    const last = this.#curve.at(-1);
    const reached = plateau && last ? `, ${last.sqnrDb.toFixed(1)} dB after ${last.step} steps` : '';
    this.#job.progress(`distilling${stages}${reached}`, this.#steps, steps);
  }

  /** Measures, and plans how a training without a given number of steps goes on. */
  async #look(runs: StageRuns, present: Present): Promise<void> {
    const { plateau, average } = present;
    let advice: PlateauAdvice | undefined;
    average?.show();
    try {
      await this.#measureNow();
      advice = plateau?.hear(this.#measured, this.#done);
      if (advice === 'keep') this.#keepBest();
    } finally {
      average?.hide();
    }
    if (advice !== 'fall') return;
    this.#restoreBest();
    present.adam = new Adam(this.#parametersOf(runs));
    present.average = undefined;
  }

  get #isMeasured(): boolean {
    return this.#curve.at(-1)?.step === this.#steps;
  }

  async #measureNow(): Promise<void> {
    if (this.#isMeasured) return;
    const step = this.#steps;
    const result = await this.#parts.trial?.measure();
    if (result) this.#curve.push({ step, ...result });
  }

  /** Takes the state that another call goes on from, whole between two steps. An average gives its place back first. */
  takeState(): TrainingState {
    // A signal may end the process while the average is measured.
    this.#present?.average?.hide();
    const plateau = this.#present?.plateau?.state;
    return {
      steps: this.#parts.steps,
      most: this.#parts.most,
      stage: this.#before.length,
      done: this.#done,
      before: this.#before,
      curve: this.#curve,
      arrays: [...this.#parts.arrays.values()],
      names: this.#present?.names ?? [],
      adam: this.#present?.adam.state,
      best: this.#best,
      ...(plateau && { plateau, average: this.#present?.average?.state }),
    };
  }
}

/** What the present stage works with. */
interface Present {
  readonly names: readonly string[];
  /** Replaced where training goes back to earlier weights. */
  adam: Adam;
  readonly plateau: Plateau | undefined;
  /** What is measured and kept where a plateau is looked for, until the rate falls. */
  average: RunningAverage | undefined;
}
