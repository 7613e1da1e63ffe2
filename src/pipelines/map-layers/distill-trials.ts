import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, parseJson } from '../../formats/json.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole, writeText } from '../../io/files.ts';
import { type EndedProcess, runProcess } from '../../io/run-process.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';

/** How maps are tried by short distillations, each in a process of its own. */
export interface TrialOptions {
  /** Program and first arguments that are mbert itself. */
  readonly program: readonly [string, ...string[]];
  readonly teacher: string;
  readonly student: string;
  readonly texts: string;
  /** Flags that say how many of the texts are read, and which columns. */
  readonly reading: readonly string[];
  /** Steps of each distillation. */
  readonly steps: number;
  readonly seed: number;
  /** Processes that run at once. */
  readonly jobs: number;
  /** The file that keeps scores while the search goes on. */
  readonly statePath: string;
  /** A hash of what scores depend on. */
  readonly identity: string;
  /** Takes over the scores of a call that was interrupted. */
  readonly resume: boolean;
  readonly signal: AbortSignal | undefined;
  /** Told after each trial. */
  readonly progress: (done: number) => void;
}

/** A map, and the noise in the student's answers after a distillation with it, as a share of the teacher's signal. */
export interface Trial {
  readonly map: readonly number[];
  readonly score: number;
}

/** Scores maps, and remembers what it scored. */
export interface Trials {
  score(maps: readonly (readonly number[])[]): Promise<readonly number[]>;
  /** In the order in which they were asked for. */
  readonly trials: readonly Trial[];
  /** Removes the file of scores: nothing is left to go on with. */
  finish(): void;
}

/** Version of the state file's form. */
const STATE_VERSION = 1;

/**
 * Opens trials. Throws USAGE where there is nothing to go on from, MISMATCH where the scores are of other models, texts or
 * options.
 */
export function openTrials(options: TrialOptions): Trials {
  const { statePath, identity, jobs } = options;
  const known = new Map<string, number>(options.resume ? readState(statePath, identity) : []);
  const trials: Trial[] = [];
  const save = () => {
    const rows = [...known].map(([map, score]) => ({ map: map.split(',').map(Number), score }));
    const text = `${JSON.stringify({ version: STATE_VERSION, identity, trials: rows }, null, 1)}\n`;
    writeText(statePath, text);
  };
  return {
    trials,
    async score(maps) {
      const queue = maps.filter((map) => !known.has(map.join()));
      const work = async () => {
        for (let map = queue.shift(); map !== undefined; map = queue.shift()) {
          try {
            known.set(map.join(), await tryMap(map, options));
          } catch (cause) {
            // Trials that run beside it end, and their scores are kept; no other one begins.
            queue.length = 0;
            throw cause;
          }
          save();
          options.progress(known.size);
        }
      };
      const ends = await Promise.allSettled(Array.from({ length: Math.min(jobs, queue.length) }, work));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
      const scores = maps.map((map) => known.get(map.join()) as number);
      trials.push(...maps.map((map, i) => ({ map, score: scores[i] as number })));
      return scores;
    },
    finish: () => rmSync(statePath, { force: true }),
  };
}

/** Distills the student with a map in a process of its own, and reads how far its answers are from the teacher's. */
async function tryMap(map: readonly number[], options: TrialOptions): Promise<number> {
  const { program, teacher, student, texts, reading, steps, seed, signal } = options;
  const folder = makeTemporaryFolder('map-layers');
  try {
    const mapPath = join(folder.path, 'map.json');
    writeFileSync(mapPath, JSON.stringify(Object.fromEntries(map.map((layer, place) => [place, layer]))));
    const models = [student, '--teacher', teacher, '--texts', texts, ...reading];
    const training = ['--steps', String(steps), '--seed', String(seed), '--layer-map', mapPath];
    // A trial that a signal ends would leave its state behind the removal of the folder.
    const output = ['-o', join(folder.path, 'student.onnx'), '--checkpoint-every', '0', '--json', '--no-config'];
    const end = await runProcess([...program, 'distill', ...models, ...training, ...output], signal);
    return noiseOf(end, map, texts);
  } finally {
    folder.remove();
  }
}

/** The noise in the last measured point of a distillation's curve. Throws what the distillation was refused for. */
function noiseOf(end: EndedProcess, map: readonly number[], texts: string): number {
  const what = `distillation with layers ${map.join(' ')}`;
  const report = end.printed.trim() === '' ? undefined : parseJson(end.printed, what);
  if (end.exitCode === 2 && isObject(report)) throw refusalIn(report, what);
  const watched = isObject(report) ? report.get('watched') : undefined;
  const curve = isObject(watched) ? watched.get('curve') : undefined;
  const last = Array.isArray(curve) ? (curve as readonly JsonValue[]).at(-1) : undefined;
  if (end.exitCode === 0 && isObject(watched) && last === undefined) {
    throw new MbertError('USAGE', `${texts}: no text is left to measure a ${what} on`, {
      hint: 'a distillation learns from the first 128 of them: give some hundred',
    });
  }
  if (end.exitCode !== 0 || !isObject(last)) {
    const reason = end.messages.trim().split('\n').at(-1) ?? '';
    throw new MbertError('UNSUPPORTED', `${what}: ended with ${end.exitCode ?? end.signal}: ${reason}`);
  }
  const decibels = last.get('sqnrDb');
  // Null stands for no noise at all.
  return typeof decibels === 'number' ? 10 ** (-decibels / 10) : 0;
}

function refusalIn(report: JsonObject, what: string): MbertError {
  const error = report.get('error');
  const message = isObject(error) ? error.get('message') : report.get('message');
  const hint = isObject(error) ? error.get('hint') : report.get('hint');
  return new MbertError('UNSUPPORTED', `${what}: ${String(message)}`, typeof hint === 'string' ? { hint } : {});
}

/** Scores by their maps. */
function readState(path: string, identity: string): (readonly [string, number])[] {
  if (!existsSync(path)) {
    throw new MbertError('USAGE', `--resume: ${path}: there is no such file`, { hint: 'leave --resume out to begin' });
  }
  const state = parseJson(decodeText(readWhole(path), path), path);
  const trials = isObject(state) ? state.get('trials') : undefined;
  if (!isObject(state) || !Array.isArray(trials)) throw new MbertError('MALFORMED', `${path}: is no list of trials`);
  if (state.get('version') !== STATE_VERSION || state.get('identity') !== identity) {
    throw new MbertError('MISMATCH', `${path}: is of other models, texts or options`, {
      hint: 'go on with the same ones, or delete the file and leave --resume out to begin anew',
    });
  }
  return (trials as readonly JsonValue[]).map((trial) => {
    const map = isObject(trial) ? trial.get('map') : undefined;
    const score = isObject(trial) ? trial.get('score') : undefined;
    if (!Array.isArray(map) || typeof score !== 'number') {
      throw new MbertError('MALFORMED', `${path}: has a trial without a map or a score`);
    }
    return [map.join(), score];
  });
}
