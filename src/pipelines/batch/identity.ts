import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { hashFile } from '../../io/file-hash.ts';
import { type Job, outputsOf } from './jobs.ts';

/** Most files of a folder whose content is part of a job: a model has tens, more is a folder given by mistake. */
const MAX_FILES = 10_000;

/** Reads each file once in a batch, though many jobs are made of one model. */
export class Identities {
  readonly #version: string;
  readonly #outputFlags: ReadonlySet<string>;
  readonly #digests = new Map<string, string>();

  constructor(version: string, outputFlags: ReadonlySet<string>) {
    this.#version = version;
    this.#outputFlags = outputFlags;
  }

  /**
   * Hash of all that a job's result depends on: mbert's version, the command line, and the content of the files and
   * folders that its words name, those that it writes left out. Throws USAGE for a folder of too many files.
   */
  of(job: Job): string {
    const hash = createHash('sha256').update(JSON.stringify([this.#version, job.command, job.args]));
    const outputs = new Set(outputsOf(job.args, this.#outputFlags));
    for (const word of job.args) {
      const path = word.startsWith('--') ? word.slice(word.indexOf('=') + 1) : word;
      if (outputs.has(path) || path === '' || !existsSync(path)) continue;
      hash.update(`\n${path}\n${this.#digest(path)}`);
    }
    return hash.digest('hex');
  }

  #digest(path: string): string {
    const known = this.#digests.get(path);
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    for (const file of filesOf(path)) {
      hash.update(`\n${file.slice(path.length)}\n`);
      hashFile(hash, file);
    }
    const digest = hash.digest('hex');
    this.#digests.set(path, digest);
    return digest;
  }
}

/** The file itself, or the files below a folder in one order everywhere; links below it are not followed to folders. */
function filesOf(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const files: string[] = [];
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of readdirSync(folder).sort()) {
      const below = join(folder, name);
      if (lstatSync(below).isDirectory()) folders.push(below);
      else if (statSync(below, { throwIfNoEntry: false })?.isFile()) files.push(below);
    }
    if (files.length > MAX_FILES) {
      throw new MbertError('USAGE', `${path}: has more than ${MAX_FILES} files: give the model's own folder`);
    }
  }
  return files.sort();
}
