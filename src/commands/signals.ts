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

/** Ends the process where nobody reads its output any more: `mbert inspect … | head` is no error. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    undoAll();
    process.exit(0);
  });
}
