import { createWriteStream, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MbertError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { siblingPath } from '../io/files.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../io/temporary-folder.ts';

/** Most bytes of the files of one drop: a BERT of 500 M parameters in f32. They are written to the disk before use. */
export const MAX_DROPPED_BYTES = 2 ** 31;

/** Most files of one drop: a checkpoint in shards has some tens. */
const MAX_DROPPED_FILES = 1000;

/** Longest name of a file with the folders before it: most file systems take 255 bytes for one step. */
const MAX_NAME_LETTERS = 1000;

/** Files that were dropped on a page together. */
interface Drop {
  readonly id: string;
  readonly folder: string;
  readonly names: Set<string>;
  bytes: number;
}

/** Keeps the files of the latest drop in a temporary folder, which goes when a signal ends the process. */
export class DroppedFiles {
  readonly #root: TemporaryFolder = makeTemporaryFolder('view');
  readonly #maxBytes: number;
  #drop: Drop | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Id of the drop whose files are here. */
  get current(): string | undefined {
    return this.#drop?.id;
  }

  /**
   * Writes a file of a drop; the first of another one removes what was there. Throws USAGE for too many or too large
   * files and for one that is there, MALFORMED for a name that leaves the folder. What came of a file that failed is removed.
   */
  async receive(id: string, name: string, body: Readable, announcedBytes: number): Promise<void> {
    if (name.length > MAX_NAME_LETTERS) throw new MbertError('USAGE', `file name: has ${name.length} letters`);
    const drop = this.#dropOf(id);
    const inside = name.split('/').reduce((base, step) => siblingPath(join(base, step), step), '');
    const path = join(drop.folder, inside);
    if (drop.names.size >= MAX_DROPPED_FILES) {
      throw new MbertError('USAGE', `${name}: more than ${MAX_DROPPED_FILES} files`, {
        hint: 'drop a model, or the folder of one',
      });
    }
    if (drop.names.has(name)) throw new MbertError('USAGE', `${name}: is there already`);
    if (drop.bytes + announcedBytes > this.#maxBytes) throw this.#tooLarge(name);
    drop.names.add(name);
    let isOurs = false;
    try {
      mkdirSync(dirname(path), { recursive: true });
      const fd = openSync(path, 'wx', 0o600);
      isOurs = true;
      await pipeline(body, this.#counted(drop, name), createWriteStream(path, { fd }));
    } catch (cause) {
      drop.names.delete(name);
      // Where case makes no difference, another name may have made it.
      if (isOurs) rmSync(path, { force: true });
      throw cause instanceof MbertError ? cause : fileError(name, 'cannot be taken', cause);
    }
  }

  /** Path to read of a drop: of one file its own, else that of the folder they lie in. Undefined for one that is gone. */
  pathOf(id: string): { readonly path: string; readonly name: string } | undefined {
    if (this.#drop?.id !== id) return undefined;
    const { folder, names } = this.#drop;
    const [first = ''] = names;
    if (names.size === 1) return { path: join(folder, first), name: first };
    const [top = ''] = first.split('/');
    const isOneFolder = [...names].every((name) => name.startsWith(`${top}/`));
    return isOneFolder ? { path: join(folder, top), name: top } : { path: folder, name: `${names.size} files` };
  }

  /** A text without the paths of the temporary folder: whoever dropped a file knows it by its name. */
  withoutFolder(text: string): string {
    return this.#drop === undefined ? text : text.replaceAll(this.#drop.folder + sep, '');
  }

  remove(): void {
    this.#root.remove();
  }

  #dropOf(id: string): Drop {
    if (this.#drop?.id === id) return this.#drop;
    if (this.#drop) rmSync(this.#drop.folder, { recursive: true, force: true });
    const folder = join(this.#root.path, id);
    mkdirSync(folder);
    this.#drop = { id, folder, names: new Set(), bytes: 0 };
    return this.#drop;
  }

  /** Counts what passes: what a request announces may be wrong, or absent. */
  #counted(drop: Drop, name: string): Transform {
    return new Transform({
      transform: (chunk: Buffer, _, done) => {
        drop.bytes += chunk.length;
        done(drop.bytes > this.#maxBytes ? this.#tooLarge(name) : null, chunk);
      },
    });
  }

  #tooLarge(name: string): MbertError {
    return new MbertError('USAGE', `${name}: more than ${this.#maxBytes} bytes with what was dropped with it`, {
      hint: 'compare larger models by mbert view MODEL OTHER, which reads them where they lie',
    });
  }
}
