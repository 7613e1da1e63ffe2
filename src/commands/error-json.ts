import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ErrorCode, MbertError } from '../errors.ts';

/** A failure as programs read it. */
export interface ErrorReport {
  /** A code of `ERROR_CODES`; `BUG` for a bug in mbert. */
  readonly code: ErrorCode | 'BUG';
  /** The whole message, as people read it. */
  readonly message: string;
  /** The file that it is about, null where it is about none. */
  readonly file: string | null;
  /** Part of the file, or the flag: what stands before the problem. */
  readonly part: string | null;
  readonly problem: string;
  readonly hint: string | null;
}

/** Takes a message `file: part: problem` apart. Its first part is a file where there is one of that name, or an argument. */
export function errorReport({ code, message, hint }: MbertError, args: readonly string[]): ErrorReport {
  const [first = '', ...rest] = message.split(': ');
  const isFile = rest.length > 0 && (args.includes(first) || isPath(first));
  const inner = isFile ? rest : [first, ...rest];
  const [part, ...problem] = inner.length > 1 ? inner : [null, ...inner];
  return {
    code,
    message,
    file: isFile ? first : null,
    part: part ?? null,
    problem: problem.join(': '),
    hint: hint ?? null,
  };
}

/** The report of a command line that cannot be read. */
export function usageReport(message: string): ErrorReport {
  const problem = message.replace(/^error: /, '');
  return { code: 'USAGE', message: problem, file: null, part: null, problem, hint: null };
}

/** The report of what is no error of the user's. */
export function bugReport(cause: unknown): ErrorReport {
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code: 'BUG', message, file: null, part: null, problem: message, hint: null };
}

/** True for a file that is there, or could be: its folder is. A word without a folder is none unless it is there. */
function isPath(text: string): boolean {
  return existsSync(text) || (dirname(text) !== '.' && existsSync(dirname(text)));
}
