/**
 * Clean-ups that the running calls owe, the newest last. They are kept for the whole process, because a signal ends the
 * process and not one call.
 */
const pending = new Set<() => void>();

/**
 * Registers what is to be undone if a signal ends the process before `forget` is called, which the work does when it
 * has cleaned up itself or is done.
 */
export function undoAtEnd(undo: () => void): { forget(): void } {
  const entry = () => undo();
  pending.add(entry);
  return { forget: () => pending.delete(entry) };
}

/** Undoes all that is pending, the newest first. One that fails does not keep the others. */
export function undoAll(): void {
  for (const undo of [...pending].reverse()) {
    pending.delete(undo);
    try {
      undo();
    } catch {
      // The process ends: there is nobody who could do more about it.
    }
  }
}
