import { renameSync } from 'node:fs';
import { fileError, isSystemError } from './file-error.ts';

/** Error codes of Windows for a file that another program has open: viewers, virus scanners and indexers let go soon. */
const IN_USE: ReadonlySet<string | undefined> = new Set(['EPERM', 'EACCES', 'EBUSY']);

/** Pauses before the next tries: 1.3 s together, which is long for a scanner and short for who waits for an error. */
const PAUSES_MS = [10, 20, 40, 80, 160, 320, 640];

/** Calls of the system that tests put others in place of. */
export interface Renaming {
  readonly platform: NodeJS.Platform;
  rename(from: string, to: string): void;
  pause(timeMs: number): void;
}

const SYSTEM: Renaming = {
  platform: process.platform,
  rename: renameSync,
  pause: (timeMs) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs),
};

/**
 * Renames a file over another one, if there is one. Windows refuses that while a program has the other one open, so that
 * it is tried again there; elsewhere a refusal stays one. Throws USAGE where it cannot be done.
 */
export function replaceFile(from: string, to: string, { platform, rename, pause }: Renaming = SYSTEM): void {
  const pauses = platform === 'win32' ? PAUSES_MS : [];
  for (let tries = 0; ; tries++) {
    try {
      rename(from, to);
      return;
    } catch (cause) {
      const pauseMs = isSystemError(cause) && IN_USE.has(cause.code) ? pauses[tries] : undefined;
      if (pauseMs === undefined) throw fileError(to, 'cannot be written', cause);
      pause(pauseMs);
    }
  }
}
