import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { MbertError } from '../errors.ts';
import { fileError, isSystemError } from './file-error.ts';
import { refuseLeavingLink } from './inside-folder.ts';
import { refuseChangedSources, rememberSource } from './open-sources.ts';
import { outputPlace } from './output-place.ts';
import { replaceFile } from './replace-file.ts';
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
  const entry = rememberSource(descriptor, path);
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
    sibling(name) {
      const part = siblingPath(path, name);
      refuseLeavingLink(path, part);
      return openFile(part);
    },
    close() {
      entry.forget();
      closeSync(descriptor);
    },
  };
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
  refuseLeavingLink(file.path, path);
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
 * nothing behind. Symbolic links keep leading to their files; devices and pipes are written to directly. Returns the
 * written paths with their sizes in bytes. Throws USAGE where the folder or a file cannot be written, MISMATCH where a
 * file that is read meanwhile was written to.
 */
export async function writeFiles(
  folder: string,
  files: AsyncIterable<OutputFile>,
): Promise<{ path: string; size: number }[]> {
  const done: { temporary: string | undefined; target: string; path: string; size: number }[] = [];
  const made = makeFolder(folder);
  const undo = () => {
    for (const { temporary } of done) if (temporary !== undefined) rmSync(temporary, { force: true });
    removeEmpty(folder, made);
  };
  const entry = undoAtEnd(undo);
  try {
    for await (const { name, chunks } of files) {
      const path = join(folder, name);
      const place = outputPlace(path);
      const temporary = place.isReplaced ? `${place.path}.${process.pid}.tmp` : undefined;
      const descriptor = temporary === undefined ? openSync(place.path, 'w') : openSync(temporary, 'wx');
      const file = { temporary, target: place.path, path, size: 0 };
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
    refuseChangedSources();
    for (const { path } of done) outputPlace(path);
    for (const { temporary, target } of done) if (temporary !== undefined) replaceFile(temporary, target);
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

/** Writes a small text, which appears as a whole; its folder is made where there is none. */
export function writeText(path: string, text: string): void {
  writeNow(path, [new TextEncoder().encode(text)]);
}

/**
 * Writes a file without waiting, as where a signal ends the process; it appears as a whole, and its folder is made where
 * there is none.
 */
export function writeNow(path: string, chunks: Iterable<Uint8Array>): void {
  makeFolder(dirname(path));
  const place = outputPlace(path);
  const written = place.isReplaced ? `${place.path}.${process.pid}.tmp` : place.path;
  try {
    const descriptor = openSync(written, place.isReplaced ? 'wx' : 'w');
    try {
      for (const chunk of chunks) for (let at = 0; at < chunk.byteLength; ) at += writeSync(descriptor, chunk, at);
    } finally {
      closeSync(descriptor);
    }
    if (place.isReplaced) replaceFile(written, place.path);
  } catch (cause) {
    if (place.isReplaced) rmSync(written, { force: true });
    throw fileError(path, 'cannot be written', cause);
  }
}

/** Removes the folders from the innermost up to the one that was made first, as far as nobody has put anything there. */
function removeEmpty(folder: string, made: string | undefined): void {
  if (made === undefined) return;
  const top = resolve(made);
  for (let at = resolve(folder); at.startsWith(top); at = dirname(at)) {
    try {
      rmdirSync(at);
    } catch {
      return;
    }
  }
}

/**
 * Makes a folder with those above it, and returns the topmost one that it had to make, so that a failure can remove it
 * again. One by one: Node's own call for all of them says of a read-only disk that something does not exist, and of a
 * folder in /proc nothing, for ever.
 */
export function makeFolder(folder: string): string | undefined {
  const missing: string[] = [];
  let at = resolve(folder);
  while (!existsSync(at) && dirname(at) !== at) {
    missing.push(at);
    at = dirname(at);
  }
  try {
    if (!statSync(at).isDirectory()) throw new MbertError('USAGE', `${folder}: cannot be written: ${NO_FOLDER}`);
    for (const each of missing.reverse()) makeOne(each);
  } catch (cause) {
    throw fileError(folder, 'cannot be written', cause);
  }
  return missing[0];
}

const NO_FOLDER = 'a part of the path is not a folder';

function makeOne(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (cause) {
    // Another run may have made it meanwhile.
    if (!isSystemError(cause) || cause.code !== 'EEXIST') throw cause;
  }
}
