import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole, writeWhole } from '../../io/files.ts';
import type { Shard } from '../batch/jobs.ts';
import type { Candidate } from './changes.ts';
import type { Score } from './score-candidates.ts';

/** Version of the score files' form. */
const SCORES_VERSION = 1;

/** Scores of one part of the candidates, as its file has them. */
interface ScoreFile {
  readonly version: typeof SCORES_VERSION;
  /** Hash of all that scores depend on. */
  readonly identity: string;
  readonly shard: Shard;
  readonly scores: readonly Score[];
}

/** The hash of what scores depend on: words, as options and versions, and the contents of files. */
export function scoresIdentity(words: readonly unknown[], digests: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([words, digests]))
    .digest('hex');
}

/** Path of a part's scores in the folder of the search. */
export function scoresPath(folder: string, { index, count }: Shard): string {
  return join(folder, `scores-${index}-of-${count}.json`);
}

const SCORES_NAME = /^scores-(\d+)-of-(\d+)\.json$/;

/**
 * Scores the candidates of one part and keeps each score in the part's file as soon as it is known. Scores of an earlier,
 * ended run are taken over where they depend on the same things. Throws USAGE for a file of another search.
 */
export async function scoreShard(
  folder: string,
  candidates: readonly Candidate[],
  {
    shard,
    identity,
    score,
  }: {
    readonly shard: Shard;
    readonly identity: string;
    readonly score: (candidate: Candidate, done: number, total: number) => Promise<Score>;
  },
): Promise<readonly Score[]> {
  const path = scoresPath(folder, shard);
  const known = existsSync(path) ? readScores(path, identity).scores : [];
  const own = candidates.filter((_, i) => i % shard.count === shard.index - 1);
  const scores: Score[] = [];
  for (const [i, candidate] of own.entries()) {
    const earlier = known.find((each) => keyOf(each) === keyOf(candidate));
    scores.push(earlier ?? (await score(candidate, i, own.length)));
    if (earlier !== undefined) continue;
    const file: ScoreFile = { version: SCORES_VERSION, identity, shard, scores };
    await writeWhole(path, new TextEncoder().encode(`${JSON.stringify(file, null, 1)}\n`));
  }
  return scores;
}

/**
 * Puts the scores of all parts in a folder together, in the order of the candidates. Throws USAGE where parts are missing
 * or are not of this search.
 */
export function mergeScores(folder: string, candidates: readonly Candidate[], identity: string): readonly Score[] {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => SCORES_NAME.test(name))
        .sort()
    : [];
  if (names.length === 0) {
    throw new MbertError('USAGE', `--merge: ${folder}: has no scores`, {
      hint: 'run the parts first, each with the same flags and --shard 1/N to --shard N/N',
    });
  }
  const files = names.map((name) => ({ name, ...readScores(join(folder, name), identity) }));
  const scores = new Map(files.flatMap((file) => file.scores.map((score) => [keyOf(score), score])));
  const missing = candidates.filter((candidate) => !scores.has(keyOf(candidate)));
  if (missing.length > 0) {
    const count = files[0]?.shard.count as number;
    const parts = new Set(missing.map((candidate) => (candidates.indexOf(candidate) % count) + 1));
    throw new MbertError('USAGE', `--merge: ${folder}: ${missing.length} of ${candidates.length} scores are missing`, {
      hint: `run these parts to their end: ${[...parts].map((part) => `--shard ${part}/${count}`).join(', ')}`,
    });
  }
  return candidates.map((candidate) => scores.get(keyOf(candidate)) as Score);
}

function keyOf({ layer, change }: Candidate): string {
  const { kind } = change;
  return JSON.stringify([
    layer,
    kind,
    ...(kind === 'units' ? [change.group, change.kept] : kind === 'rank' ? [change.rank] : []),
  ]);
}

function readScores(path: string, identity: string): ScoreFile {
  let value: Partial<ScoreFile> | null;
  try {
    value = JSON.parse(decodeText(readWhole(path), path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    value = null;
  }
  if (value?.version !== SCORES_VERSION || !Array.isArray(value.scores) || value.shard === undefined) {
    throw new MbertError('MALFORMED', `${path}: is no file of scores`, {
      hint: 'remove it, or name another folder with --output',
    });
  }
  if (value.identity !== identity) {
    throw new MbertError('USAGE', `${path}: are scores of another search`, {
      hint: 'the model, the texts, the flags that score and mbert must be the same; remove the file to score anew',
    });
  }
  return value as ScoreFile;
}
