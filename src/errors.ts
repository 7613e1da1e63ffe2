/** Error codes with what each means: programs test the code, people read the message. */
export const ERROR_CODES = {
  USAGE: 'the command line or the options of a call make no sense',
  NOT_FOUND: 'a file is not there or cannot be read',
  UNKNOWN_FORMAT: 'no importer or rule knows what the bytes are',
  MALFORMED: 'a file is damaged or contradicts itself',
  UNSUPPORTED: 'a file is sound, but mbert or the format to write has no way to say what it holds',
  INVALID_GRAPH: 'a graph breaks the rules of the IR; at the command line that is a bug in mbert',
  MISMATCH: 'two things that belong together do not fit: models, a model and data, a recipe and a scheme',
} as const;
/** The code of an `MbertError`, a key of `ERROR_CODES`. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Error meant for the user, worded `file: part: problem`. Any other exception is a bug in mbert. */
export class MbertError extends Error {
  override readonly name = 'MbertError';
  readonly code: ErrorCode;
  /** Advice on what to do instead, printed on a line of its own. */
  readonly hint: string | undefined;
  /** The problems, each worded for a line of its own; the message is all of them. */
  readonly problems: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown; more?: readonly string[] } = {},
  ) {
    const problems = [message, ...(options.more ?? [])];
    super(problems.join('\n'), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.problems = problems;
  }
}

/** Whether an error says that something sound cannot be expressed: there may be another way to go on. */
export function isUnsupported(cause: unknown): cause is MbertError {
  return cause instanceof MbertError && cause.code === 'UNSUPPORTED';
}

/** What `read` returns; undefined where that is of a file that is not as its format has it. Other errors are thrown on. */
export function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'MALFORMED') return undefined;
    throw cause;
  }
}

/** An error of a file, or of a part of one, that is not as its format has it. */
export function malformed(what: string, problem: string, hint?: string): MbertError {
  return new MbertError('MALFORMED', `${what}: ${problem}`, hint === undefined ? {} : { hint });
}

/** The candidate closest to `name`, for "did you mean": undefined if none shares most of its letters. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(3, Math.floor(name.length / 2));
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Names that a message lists, the others being counted only: enough to recognise them, as there can be thousands. */
const MAX_NAMES = 8;

/** Joins names as `a, b and c`; where there are more than `MAX_NAMES`, the last ones are only counted. */
export function listNames(names: readonly string[]): string {
  const shown = names.length > MAX_NAMES ? names.slice(0, MAX_NAMES - 1) : names;
  const rest = names.length - shown.length;
  const parts = rest > 0 ? [...shown, `${rest} more`] : shown;
  const last = parts.at(-1) ?? '';
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`;
}

/** Levenshtein distance, given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const cost = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1;
      const value = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost);
      next.push(value);
      if (value < least) least = value;
    }
    if (least >= limit) return limit;
    row = next;
  }
  return row[b.length] ?? limit;
}
