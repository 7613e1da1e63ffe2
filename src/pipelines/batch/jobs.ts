import { resolve } from 'node:path';
import { MbertError, malformed } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, parseJson } from '../../formats/json.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole } from '../../io/files.ts';

/** One command line of a job file. */
export interface Job {
  /** Name of its result file, the same in no other job. */
  readonly name: string;
  readonly command: string;
  /** Arguments and flags behind the command, one a word. */
  readonly args: readonly string[];
}

/** Part `index` of `count`, from 1 to `count`, as test runners count shards. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Most jobs of one file: each is a process, so that more is a mistake and no plan. */
const MAX_JOBS = 100_000;

/** Names are file names everywhere, Windows included, and never hidden. */
const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;

const KEYS: ReadonlySet<string> = new Set(['name', 'command', 'args']);

/**
 * Reads a job file: a JSON object a line, `{"name": "a", "command": "convert", "args": ["./a", "-o", "a.onnx"]}`. Lines
 * that are empty or begin with # are left out. Throws MALFORMED for a line that is no job, for two jobs of one name,
 * and for a job that writes or reads what another one writes (the word behind one of the flags `outputFlags`).
 */
export function readJobs(path: string, outputFlags: ReadonlySet<string>): readonly Job[] {
  const jobs: Job[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, line] of decodeText(readWhole(path), path).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const what = `${path}: line ${index + 1}`;
    const job = jobOf(parseJson(line, what), what);
    const other = lineOf.get(job.name.toLowerCase());
    if (other !== undefined) throw malformed(what, `name: ${job.name} is that of line ${other}, too`);
    lineOf.set(job.name.toLowerCase(), index + 1);
    jobs.push(job);
    if (jobs.length > MAX_JOBS) throw malformed(path, `has more than ${MAX_JOBS} jobs`);
  }
  if (jobs.length === 0) throw malformed(path, 'has no jobs', 'write one JSON object a line');
  refuseShared(path, jobs, outputFlags);
  return jobs;
}

/** Refuses jobs that depend on each other: they run at the same time, in any order and on any machine. */
function refuseShared(path: string, jobs: readonly Job[], outputFlags: ReadonlySet<string>): void {
  const writers = new Map<string, Job>();
  for (const job of jobs) {
    for (const output of outputsOf(job.args, outputFlags)) {
      const writer = writers.get(resolve(output));
      if (writer !== undefined) throw malformed(path, `${job.name} and ${writer.name} both write ${output}`);
      writers.set(resolve(output), job);
    }
  }
  for (const job of jobs) {
    for (const word of job.args) {
      const writer = writers.get(resolve(word));
      if (writer === undefined || writer === job) continue;
      throw malformed(path, `${job.name} reads ${word}, which ${writer.name} writes`, 'put it into a second job file');
    }
  }
}

function jobOf(value: JsonValue, what: string): Job {
  if (!isObject(value)) throw malformed(what, 'is no JSON object');
  const unknown = [...value.keys()].find((key) => !KEYS.has(key));
  if (unknown !== undefined)
    throw malformed(what, `${unknown}: is no field of a job`, 'a job has name, command and args');
  const command = textOf(value, 'command', what);
  if (command === 'batch') throw malformed(what, 'command: a batch cannot hold another one');
  if (!/^[a-z][\w-]*$/.test(command)) throw malformed(what, `command: ${command} is no command`);
  const name = textOf(value, 'name', what);
  if (!NAME.test(name)) {
    throw malformed(what, `name: ${JSON.stringify(name)} is no file name`, 'use up to 100 letters, digits, ., _ and -');
  }
  const args = value.get('args');
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === 'string')) {
    throw malformed(what, 'args: is no list of texts', 'one text for each word: ["./model", "-o", "model.onnx"]');
  }
  return { name, command, args };
}

function textOf(value: JsonObject, key: string, what: string): string {
  const text = value.get(key);
  if (typeof text !== 'string') throw malformed(what, `${key}: is missing or no text`);
  return text;
}

/** Words that name what a job writes: those behind one of the flags, or joined to it by `=`. */
export function outputsOf(args: readonly string[], outputFlags: ReadonlySet<string>): readonly string[] {
  return args.flatMap((arg, i) => {
    const cut = arg.startsWith('--') ? arg.indexOf('=') : -1;
    if (cut > 0 && outputFlags.has(arg.slice(0, cut))) return [arg.slice(cut + 1)];
    const next = args[i + 1];
    return outputFlags.has(arg) && next !== undefined ? [next] : [];
  });
}

/** The jobs of one shard, dealt like cards, so that long ones that stand together are shared out. */
export function jobsOfShard(jobs: readonly Job[], { index, count }: Shard): readonly Job[] {
  if (index < 1 || index > count) throw new MbertError('USAGE', `--shard: ${index}/${count} is none of 1 to ${count}`);
  return jobs.filter((_, i) => i % count === index - 1);
}
