import { MbertError } from '../errors.ts';

/** The pass that an error came from, and those that had run before it. */
export interface PassTrail {
  readonly pass: string;
  readonly behind: readonly string[];
}

/**
 * Puts a trail on an error that is a bug. An answer to the user stays as it is, as nothing is wrong with the pass. Where
 * passes run inside a pass, the inner ones are those to know.
 */
export function leaveTrail(cause: unknown, passTrail: PassTrail): void {
  if (!(cause instanceof Error) || !Object.isExtensible(cause) || trailOf(cause) !== undefined) return;
  if (cause instanceof MbertError && cause.code !== 'INVALID_GRAPH') return;
  Object.assign(cause, { passTrail });
}

/** The trail that an error carries, if it came out of a pass. */
export function trailOf(cause: unknown): PassTrail | undefined {
  return cause instanceof Error && 'passTrail' in cause ? (cause.passTrail as PassTrail) : undefined;
}
