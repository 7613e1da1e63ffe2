import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { MbertError } from '../errors.ts';
import { undoAtEnd } from './undo.ts';

/** A readable file of known size. Reads are ranges, because Node has no mmap and `readFileSync` ends at 2 GiB. */
export interface ModelFile {
  readonly path: string;
  readonly size: number;
  /** Reads a range into fresh bytes that the caller owns. Throws MALFORMED for a range outside the file. */
  read(offset: number, length: number): Uint8Array;
  /** Opens a file beside this one. Throws MALFORMED for a name that leaves the folder. */
  sibling(name: string): ModelFile;
  close(): void;
}

/** Bytes that one call reads at most: Linux stops at 0x7ffff000, and 1 GiB is below every platform's limit. */
const MAX_READ_BYTES = 2 ** 30;

/**
 * Opens a regular file for range reads; the descriptor stays open until `close`. Throws NOT_FOUND for a file that does
 * not exist, USAGE for one that cannot be read.
 */
export function openFile(path: string): ModelFile {
  let descriptor: number;
  let size: number;
  try {
    const stats = statSync(path);
    if (!stats.isFile()) throw new MbertError('USAGE', `${path}: is not a file`);
    size = stats.size;
    descriptor = openSync(path, 'r');
  } catch (cause) {
    throw fileError(path, 'cannot be read', cause);
  }
  const entry = readingOf(descriptor);
  return {
    path,
    size,
    read(offset, length) {
      if (
        !Number.isSafeInteger(offset) ||
        !Number.isSafeInteger(length) ||
        offset < 0 ||
        length < 0 ||
        offset + length > size
      ) {
        throw new MbertError(
          'MALFORMED',
          `${path}: bytes ${offset} to ${offset + length} lie outside its ${size} bytes`,
        );
      }
      // `allocUnsafeSlow` gives each buffer memory of its own, aligned for any typed array. It need not be zeroed, as
      // all of it is overwritten.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      for (let done = 0; done < length; ) {
        const count = readSync(descriptor, bytes, done, Math.min(length - done, MAX_READ_BYTES), offset + done);
        if (count === 0) throw new MbertError('MALFORMED', `${path}: ended while it was read`);
        done += count;
      }
      return bytes;
    },
    sibling: (name) => openFile(siblingPath(path, name)),
    close() {
      entry.forget();
      closeSync(descriptor);
    },
  };
}

/** Files that are open for reading, by device and inode, with how often: descriptors are the process's as well. */
const reading = new Map<string, number>();

function readingOf(descriptor: number): { forget(): void } {
  const key = identityOf(fstatSync(descriptor));
  reading.set(key, (reading.get(key) ?? 0) + 1);
  return {
    forget() {
      const count = (reading.get(key) ?? 1) - 1;
      if (count === 0) reading.delete(key);
      else reading.set(key, count);
    },
  };
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

/** True for a path of a file that is open for reading, under whatever name. */
export function isBeingRead(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && reading.has(identityOf(stats));
}

/** Reads all bytes of a small file. */
export function readWhole(path: string): Uint8Array {
  return withFile(path, (file) => file.read(0, file.size));
}

/** Opens a file for as long as `use` runs. */
export function withFile<T>(path: string, use: (file: ModelFile) => T): T {
  const file = openFile(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** The path of `name` beside `path`. A name with a folder or drive in it would leave the model's folder. */
export function siblingPath(path: string, name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name) || /^[A-Za-z]:/.test(name)) {
    throw new MbertError('MALFORMED', `${path}: file name "${name}" leaves the model's folder`, {
      hint: 'parts of a model must lie beside it',
    });
  }
  return join(dirname(path), name);
}

/** Opens a file beside another one or in a folder below that: `data/weights.bin`. Throws MALFORMED for one elsewhere. */
export function openBelow(file: ModelFile, name: string): ModelFile {
  const steps = name.split('/').filter((step) => step !== '.');
  if (steps.length === 1) return file.sibling(steps[0] as string);
  let path = '';
  for (const [i, step] of steps.entries()) path = siblingPath(i === 0 ? file.path : join(path, step), step);
  return openFile(path);
}

/** Lists the names in a folder, sorted; where `path` is a file, its own name. */
export function listFolder(path: string): { readonly isFolder: boolean; readonly names: readonly string[] } {
  try {
    if (!statSync(path).isDirectory()) return { isFolder: false, names: [basename(path)] };
    return { isFolder: true, names: readdirSync(path).sort() };
  } catch (cause) {
    throw fileError(path, 'cannot be read', cause);
  }
}

/** Most entries of a folder that are looked at for folders. */
const MAX_ENTRIES = 10_000;

/** Lists the folders in a folder, sorted, links to folders among them and hidden ones left out. */
export function listSubfolders(path: string): readonly string[] {
  const { names } = listFolder(path);
  return names
    .slice(0, MAX_ENTRIES)
    .filter((name) => !name.startsWith('.') && statSync(join(path, name), { throwIfNoEntry: false })?.isDirectory());
}

/** One file to write: its bytes come in chunks so that no whole file is ever held. */
export interface OutputFile {
  readonly name: string;
  /** Number of all bytes, where it is known before they are. */
  readonly size?: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Writes files into `folder` under temporary names and renames them together at the end, so that a failure leaves
 * nothing behind. Returns the written paths with their sizes in bytes. Throws USAGE where the folder or a file cannot
 * be written.
 */
export async function writeFiles(
  folder: string,
  files: AsyncIterable<OutputFile>,
): Promise<{ path: string; size: number }[]> {
  const done: { temporary: string; path: string; size: number }[] = [];
  const madeFolder = makeFolder(folder);
  const undo = () => {
    for (const { temporary } of done) rmSync(temporary, { force: true });
    if (madeFolder !== undefined) rmSync(madeFolder, { recursive: true, force: true });
  };
  const entry = undoAtEnd(undo);
  try {
    for await (const { name, chunks } of files) {
      const path = join(folder, name);
      const file = { temporary: `${path}.${process.pid}.tmp`, path, size: 0 };
      const descriptor = openSync(file.temporary, 'wx');
      done.push(file);
      try {
        for await (const chunk of chunks) {
          for (let at = 0; at < chunk.byteLength; ) at += writeSync(descriptor, chunk, at);
          file.size += chunk.byteLength;
        }
      } finally {
        closeSync(descriptor);
      }
    }
    for (const { path } of done) refuseFolder(path);
    for (const { temporary, path } of done) replaceFile(temporary, path);
  } catch (cause) {
    undo();
    if (cause instanceof MbertError || !isSystemError(cause)) throw cause;
    throw fileError(folder, 'cannot be written', cause);
  } finally {
    entry.forget();
  }
  return done.map(({ path, size }) => ({ path, size }));
}

/** Writes a small file, which appears under its name only when it is complete; its folder is made where there is none. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  async function* chunks() {
    yield bytes;
  }
  async function* files() {
    yield { name: basename(path), chunks: chunks() };
  }
  await writeFiles(dirname(path), files());
}

/** Writes a small text, its folder made where there is none. */
export function writeText(path: string, text: string): void {
  makeFolder(dirname(path));
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw fileError(path, 'cannot be written', cause);
  }
}

/** Refuses a folder in the place of a file before the first one is replaced: half of a model would be left. */
function refuseFolder(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new MbertError('USAGE', `${path}: cannot be written: is a folder`);
}

function replaceFile(temporary: string, path: string): void {
  try {
    renameSync(temporary, path);
  } catch (cause) {
    throw fileError(path, 'cannot be written', cause);
  }
}

/** Makes the folder and returns the topmost one it had to make, so that a failure can remove it again. */
function makeFolder(folder: string): string | undefined {
  try {
    return mkdirSync(resolve(folder) + sep, { recursive: true });
  } catch (cause) {
    throw fileError(folder, 'cannot be written', cause);
  }
}

function isSystemError(cause: unknown): cause is NodeJS.ErrnoException {
  return cause instanceof Error && 'syscall' in cause;
}

const REASONS: { readonly [code: string]: string } = {
  ENOENT: 'does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'exists already',
  EISDIR: 'is a folder',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
};

export function fileError(path: string, problem: string, cause: unknown): MbertError {
  if (cause instanceof MbertError) return cause;
  const code = isSystemError(cause) ? (cause.code ?? '') : '';
  const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new MbertError(code === 'ENOENT' ? 'NOT_FOUND' : 'USAGE', `${path}: ${problem}: ${reason}`, { cause });
}
