import { undoAll } from '../io/undo.ts';

/** Signals that end a process, with the exit codes by which shells tell them: 128 + the signal's number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Ends the process at a signal, with nothing left behind that is not finished. */
export function endOnSignals(): void {
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      undoAll();
      if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
      process.exit(code);
    });
  }
}

/** Exit code where the result cannot be written, as on a full disk: EX_IOERR of sysexits.h. */
const OUTPUT_FAILED = 74;

/**
 * Keeps the process going where nobody reads its output any more: `mbert diff … | head` is no error, and what the
 * command answers is still its exit code. Output that a full disk refuses ends it with `OUTPUT_FAILED`; messages that
 * nobody can see end nothing.
 */
export function outliveReaders(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    undoAll();
    process.stderr.write(`mbert: the output cannot be written: ${error.message}\n`);
    process.exit(OUTPUT_FAILED);
  });
  process.stderr.on('error', () => {});
}
