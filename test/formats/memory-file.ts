import { MbertError } from '../../src/errors.ts';
import { type ModelFile, siblingPath } from '../../src/io/files.ts';

/** A file that exists in memory only, beside others. */
export function memoryFile(
  path: string,
  bytes: Uint8Array,
  beside: ReadonlyMap<string, Uint8Array> = new Map(),
): ModelFile {
  return {
    path,
    size: bytes.length,
    read(offset, length) {
      const fits = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
      if (!fits || offset + length > bytes.length) {
        throw new MbertError('MALFORMED', `${path}: bytes ${offset} to ${offset + length} lie outside`);
      }
      return Uint8Array.from(bytes.subarray(offset, offset + length));
    },
    sibling(name) {
      const found = beside.get(name);
      if (found === undefined) throw new MbertError('NOT_FOUND', `${siblingPath(path, name)}: does not exist`);
      return memoryFile(siblingPath(path, name), found, beside);
    },
    close() {},
  };
}

/** A file in memory that counts the bytes that are read of it. */
export function countedFile(path: string, bytes: Uint8Array): { file: ModelFile; bytesRead(): number } {
  const file = memoryFile(path, bytes);
  let count = 0;
  const read: ModelFile['read'] = (offset, length) => {
    count += length;
    return file.read(offset, length);
  };
  return { file: { ...file, read }, bytesRead: () => count };
}

/** Little-endian fields: `[width in bytes, value]`, texts and raw bytes, one after the other. */
export function pack(
  ...fields: readonly (readonly [bytes: number, value: number] | string | Uint8Array)[]
): Uint8Array {
  return Buffer.concat(
    fields.map((field) => {
      if (typeof field === 'string') return Buffer.from(field);
      if (field instanceof Uint8Array) return field;
      const [width, value] = field;
      const word = Buffer.alloc(8);
      word.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
      return word.subarray(0, width);
    }),
  );
}
