import { closeSync, openSync, readFileSync, readlinkSync, rmSync, statSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { isObject, type JsonValue, parseJson } from '../../formats/json.ts';
import { fileError } from '../../io/file-error.ts';
import { makeFolder } from '../../io/files.ts';

/** Who has a lock. */
interface Owner {
  readonly host: string;
  /** Where numbers of processes mean the same, as containers of one host name each count their own; null as `started`. */
  readonly space: string | null;
  readonly pid: number;
  /** When its process began, in the kernel's own count; null where the system does not say. Numbers of processes come again. */
  readonly started: string | null;
}

/**
 * Takes the right to write a file, and returns how to give it back. A file beside it says so to other runs: two that
 * write one name at once would leave the model of one and the weights of the other. What a process left that was killed is
 * taken over. Throws USAGE where another run has it, or could have it on another machine or in another container.
 */
export function lockOutput(path: string): () => void {
  makeFolder(dirname(path));
  const lock = join(dirname(path), `.${basename(path)}.lock`);
  if (!tryLock(lock)) {
    const owner = ownerOf(lock);
    if (owner === undefined ? isYoung(lock) : isLive(owner)) throw refusal(path, lock, owner);
    rmSync(lock, { force: true });
    if (!tryLock(lock)) throw refusal(path, lock, ownerOf(lock));
  }
  return () => rmSync(lock, { force: true });
}

function refusal(path: string, lock: string, owner: Owner | undefined): MbertError {
  const place = owner === undefined || isHere(owner) ? '' : ` on ${owner.host}`;
  const who = owner === undefined ? '' : `, process ${owner.pid}${place}`;
  return new MbertError('USAGE', `${path}: is being written by another run${who}`, {
    hint: `wait for it, or write under another name; where that run is dead, remove ${lock}`,
  });
}

function tryLock(lock: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(lock, 'wx');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw fileError(dirname(lock), 'cannot be written', cause);
  }
  try {
    const { pid } = process;
    const owner: Owner = { host: hostname(), space: processSpace(), pid, started: processAt(pid)?.started ?? null };
    writeSync(descriptor, JSON.stringify(owner));
  } catch (cause) {
    rmSync(lock, { force: true });
    throw fileError(dirname(lock), 'cannot be written', cause);
  } finally {
    closeSync(descriptor);
  }
  return true;
}

/** Who a lock says it belongs to; undefined for one that is gone, or that is not, or not yet, written. */
function ownerOf(lock: string): Owner | undefined {
  try {
    const value = parseJson(readFileSync(lock, 'utf8'), lock);
    if (!isObject(value)) return undefined;
    const [host, space, pid, started] = ['host', 'space', 'pid', 'started'].map((key) => value.get(key));
    if (typeof host !== 'string' || !Number.isSafeInteger(pid) || (pid as number) <= 0) return undefined;
    return { host, space: textOrNull(space), pid: pid as number, started: textOrNull(started) };
  } catch {
    return undefined;
  }
}

function textOrNull(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Time in which a run that has made a lock has written into it, in milliseconds: far more than a slow disk takes. */
const WRITING_MS = 10_000;

function isYoung(lock: string): boolean {
  const stats = statSync(lock, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs < WRITING_MS;
}

/** Whether numbers of processes mean here what they mean to the owner of a lock. */
function isHere({ host, space }: Owner): boolean {
  return host === hostname() && space === processSpace();
}

/** Whether the process runs that has a lock. Of one on another machine or in another container nothing can be known. */
function isLive(owner: Owner): boolean {
  if (!isHere(owner)) return true;
  const { pid, started } = owner;
  if (!isRunning(pid)) return false;
  const now = processAt(pid);
  return now === undefined || (!now.isDead && (started === null || started === now.started));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // Somebody else's process may be there, and not be ours to signal.
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
  }
}

/** The name that Linux gives to what counts this process (pid_namespaces(7)); null on other systems. */
function processSpace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}

/** What Linux says of a process (proc_pid_stat(5)); undefined on other systems. */
function processAt(pid: number): { readonly isDead: boolean; readonly started: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The third field, the first behind the name, which may hold blanks and brackets itself, is the state; the 22nd the start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A process that was killed stays a zombie until its parent asks for it.
  return { isDead: fields[0] === 'Z' || fields[0] === 'X', started: fields[19] ?? '' };
}
