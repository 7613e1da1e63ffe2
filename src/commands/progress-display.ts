/** Work as it stands: the step, how much of it is done, and its place among the stages of the call. */
export interface ProgressState {
  readonly step: string;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
  readonly stage?: { readonly number: number; readonly of: number } | undefined;
}

/** Form of progress: one line that is written over, or lines of a log. */
export type ProgressForm = 'line' | 'log';

export interface DisplayOptions {
  readonly form: ProgressForm;
  /** Width of the terminal. */
  readonly columns: number;
  /** Time before anything is logged: what ends sooner needs no log. */
  readonly quietMs: number;
  /** Adds to the log what each step took. */
  readonly isVerbose: boolean;
  readonly write: (text: string) => void;
}

/** Time between lines of a log on one long step. */
const LOG_MS = 10_000;
/** Least time between two writes of the line: more than the eye reads only costs time. */
const LINE_MS = 80;
/** Steps say how long they will take once they have run for so long. */
const ESTIMATE_MS = 2000;

/** Words progress and decides when it is told. It is given the time, and asks no clock itself. */
export class ProgressDisplay {
  readonly #options: DisplayOptions;
  readonly #startMs: number;
  #state: ProgressState | undefined;
  #stepMs: number;
  /** Time and amount of the first report on the present step that had an amount. */
  #first: { readonly atMs: number; readonly done: number } | undefined;
  #isTold = false;
  #toldMs = Number.NEGATIVE_INFINITY;
  #hasLine = false;

  constructor(nowMs: number, options: DisplayOptions) {
    this.#options = options;
    this.#startMs = nowMs;
    this.#stepMs = nowMs;
  }

  /** Takes in what is being done now. */
  set(state: ProgressState, nowMs: number): void {
    const { step, done } = state;
    const before = this.#state;
    const isNew = step !== before?.step || state.stage?.number !== before.stage?.number;
    if (isNew) {
      if (before && this.#isTold) this.#tellTime(before, nowMs);
      this.#stepMs = nowMs;
      this.#first = undefined;
      this.#isTold = false;
    }
    this.#state = state;
    if (done !== undefined) this.#first ??= { atMs: nowMs, done };
    if (isNew || nowMs - this.#toldMs >= LINE_MS || done === state.total) this.tick(nowMs);
  }

  /** Shows how far the work is by now; called at least once a second. */
  tick(nowMs: number): void {
    if (this.#state === undefined) return;
    if (this.#options.form === 'line') this.#showLine(this.#state, nowMs);
    else this.#log(this.#state, nowMs);
  }

  /** Takes the line off the terminal. */
  clear(): void {
    if (!this.#hasLine) return;
    this.#hasLine = false;
    this.#options.write('\r\u001b[K');
  }

  #showLine(state: ProgressState, nowMs: number): void {
    const text = this.#text(state, nowMs);
    const { columns, write } = this.#options;
    // A line that reaches the last column would wrap, and the next one would not be written over it.
    const shown = text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`;
    write(`\r${shown}\u001b[K`);
    this.#toldMs = nowMs;
    this.#hasLine = true;
  }

  #log(state: ProgressState, nowMs: number): void {
    const { quietMs, write } = this.#options;
    if (nowMs - this.#startMs < quietMs) return;
    if (this.#isTold && nowMs - this.#toldMs < LOG_MS) return;
    write(`${this.#text(state, nowMs)}\n`);
    this.#isTold = true;
    this.#toldMs = nowMs;
  }

  #tellTime(state: ProgressState, nowMs: number): void {
    if (!this.#options.isVerbose || this.#options.form !== 'log') return;
    this.#options.write(`${placeText(state)}${state.step} took ${durationText(nowMs - this.#stepMs)}\n`);
  }

  #text(state: ProgressState, nowMs: number): string {
    const { step, done, total } = state;
    const share = done !== undefined && total ? ` ${Math.floor((100 * done) / total)} %` : '';
    const left = this.#leftMs(state, nowMs);
    const times = [durationText(nowMs - this.#startMs), ...(left === undefined ? [] : [`${durationText(left)} left`])];
    return `${placeText(state)}${step}${share} (${times.join(', ')})`;
  }

  /** Time that the rest of the step will take at its pace so far; undefined before that can be told. */
  #leftMs({ done, total }: ProgressState, nowMs: number): number | undefined {
    if (this.#first === undefined || done === undefined || total === undefined) return undefined;
    const spent = nowMs - this.#first.atMs;
    const made = done - this.#first.done;
    if (spent < ESTIMATE_MS || made <= 0) return undefined;
    return (spent / made) * (total - done);
  }
}

function placeText({ stage }: ProgressState): string {
  return stage === undefined ? '' : `[${stage.number}/${stage.of}] `;
}

/** A duration in whole seconds, or minutes and seconds. */
function durationText(timeMs: number): string {
  const seconds = Math.round(timeMs / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
