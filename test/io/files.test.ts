import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { listFolder, type OutputFile, openBelow, openFile, siblingPath, writeFiles } from '../../src/io/files.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mbert-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (...names: string[]) => join(folder, ...names);

describe('openFile', () => {
  test('reads ranges into memory that the caller owns', () => {
    writeFileSync(at('f'), Uint8Array.of(1, 2, 3, 4, 5));
    const file = openFile(at('f'));
    const part = file.read(1, 3);
    expect([file.size, [...part], part.byteOffset, part.buffer.byteLength]).toEqual([5, [2, 3, 4], 0, 3]);
    part[0] = 9;
    expect([...file.read(0, 5)]).toEqual([1, 2, 3, 4, 5]);
    expect(file.read(5, 0).length).toBe(0);
    file.close();
  });

  test.each([
    [-1, 1],
    [0, -1],
    [0, 6],
    [5, 1],
    [0.5, 1],
    [0, Number.NaN],
    [2 ** 60, 1],
  ])('refuses bytes from %d on, %d of them, of five', (offset, length) => {
    writeFileSync(at('f'), Uint8Array.of(1, 2, 3, 4, 5));
    const file = openFile(at('f'));
    expect(() => file.read(offset, length)).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining('lie outside its 5 bytes') }),
    );
    file.close();
  });

  test('says so where a file became shorter while it was read', () => {
    writeFileSync(at('f'), new Uint8Array(10));
    const file = openFile(at('f'));
    writeFileSync(at('f'), new Uint8Array(4));
    expect(() => file.read(0, 10)).toThrow('ended while it was read');
    file.close();
  });

  test('refuses a folder, and what is not there', () => {
    expect(() => openFile(folder)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: `${folder}: is not a file` }),
    );
    expect(() => openFile(at('none'))).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', message: `${at('none')}: cannot be read: does not exist` }),
    );
    writeFileSync(at('f'), '');
    expect(() => openFile(at('f', 'g'))).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  test('opens what lies beside it', () => {
    writeFileSync(at('model'), '');
    writeFileSync(at('weights'), 'w');
    const file = openFile(at('model'));
    const beside = file.sibling('weights');
    expect(Buffer.from(beside.read(0, 1)).toString()).toBe('w');
    beside.close();
    file.close();
  });
});

describe('a file beside another', () => {
  test.each(['weights.bin', 'model-00001-of-00002', '..weights', 'a b', 'ñ'])('may be called %s', (name) => {
    expect(siblingPath(join('models', 'm.onnx'), name)).toBe(join('models', name));
  });

  test.each(['', '.', '..', '../w', '../../etc/passwd', '/etc/passwd', 'a/b', 'a\\b', '..\\w', 'C:w', 'c:\\w', 'w\0'])(
    'leaves the folder as %j',
    (name) => {
      expect(() => siblingPath('models/m.onnx', name)).toThrow(
        expect.objectContaining({
          code: 'MALFORMED',
          message: `models/m.onnx: file name "${name}" leaves the model's folder`,
          hint: 'parts of a model must lie beside it',
        }),
      );
    },
  );
});

test('listFolder sorts the names of a folder, and gives a file its own', () => {
  for (const name of ['b', 'a', 'c']) writeFileSync(at(name), '');
  expect(listFolder(folder)).toEqual({ isFolder: true, names: ['a', 'b', 'c'] });
  expect(listFolder(at('b'))).toEqual({ isFolder: false, names: ['b'] });
  expect(() => listFolder(at('none'))).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});

/** Files in chunks; a chunk that is an error ends them. */
async function* filesOf(...files: readonly (readonly [name: string, ...chunks: readonly (string | Error)[]])[]) {
  for (const [name, ...chunks] of files) yield { name, chunks: chunksOf(chunks) } satisfies OutputFile;
}

async function* chunksOf(chunks: readonly (string | Error)[]) {
  for (const chunk of chunks) {
    if (chunk instanceof Error) throw chunk;
    yield Buffer.from(chunk);
  }
}

const contents = () => Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(at(name)).toString()]));

describe('a file below the folder of another', () => {
  const textOf = (name: string) => {
    mkdirSync(at('model', 'data'), { recursive: true });
    for (const path of ['secret', 'model/m', 'model/a.bin', 'model/data/a.bin']) writeFileSync(at(path), path);
    const model = openFile(at('model/m'));
    try {
      const file = openBelow(model, name);
      const text = Buffer.from(file.read(0, file.size)).toString();
      file.close();
      return text;
    } finally {
      model.close();
    }
  };

  test.each([
    ['a.bin', 'model/a.bin'],
    ['./a.bin', 'model/a.bin'],
    ['data/a.bin', 'model/data/a.bin'],
    ['./data/./a.bin', 'model/data/a.bin'],
  ])('%s is opened', (name, found) => {
    expect(textOf(name)).toBe(found);
  });

  test.each(['../secret', 'data/../../secret', '/secret', '..\\secret', 'data//a.bin', ''])('%j is not', (name) => {
    expect(() => textOf(name)).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
  });
});

describe('writeFiles', () => {
  test('writes chunks one after the other, and says what it wrote', async () => {
    const written = await writeFiles(folder, filesOf(['a', 'one', '', 'two'], ['b']));
    expect(written).toEqual([
      { path: at('a'), size: 6 },
      { path: at('b'), size: 0 },
    ]);
    expect(contents()).toEqual({ a: 'onetwo', b: '' });
  });

  test('makes the folder, and takes the place of files that are there', async () => {
    await writeFiles(at('new', 'deep'), filesOf(['a', '1']));
    await writeFiles(at('new', 'deep'), filesOf(['a', '2']));
    expect(readFileSync(at('new', 'deep', 'a')).toString()).toBe('2');
  });

  test('shows no file before all of them are whole', async () => {
    const seen: string[][] = [];
    async function* watched(): AsyncIterable<OutputFile> {
      yield* filesOf(['a', 'x']);
      seen.push(readdirSync(folder).filter((name) => !name.endsWith('.tmp')));
      yield* filesOf(['b', 'y']);
      seen.push(readdirSync(folder).filter((name) => !name.endsWith('.tmp')));
    }
    await writeFiles(folder, watched());
    expect(seen).toEqual([[], []]);
    expect(Object.keys(contents())).toEqual(['a', 'b']);
  });

  test('leaves nothing where a stream fails, and what was there as it was', async () => {
    writeFileSync(at('a'), 'before');
    const failure = new MbertError('UNSUPPORTED', 'w: too large');
    await expect(writeFiles(folder, filesOf(['a', 'new'], ['b', 'half', failure]))).rejects.toBe(failure);
    expect(contents()).toEqual({ a: 'before' });
  });

  test('takes away the folders that it made for what then failed, and no others', async () => {
    const failing = () => filesOf(['a', new Error('bug')]);
    await expect(writeFiles(at('new', 'deep'), failing())).rejects.toThrow('bug');
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(at('mine'));
    await expect(writeFiles(at('mine', 'deep'), failing())).rejects.toThrow('bug');
    expect(readdirSync(folder)).toEqual(['mine']);
  });

  test('replaces none of its files where one cannot be replaced', async () => {
    writeFileSync(at('a'), 'before');
    mkdirSync(at('b'));
    await expect(writeFiles(folder, filesOf(['a', 'new'], ['b', 'new']))).rejects.toMatchObject({
      code: 'USAGE',
      message: `${at('b')}: cannot be written: is a folder`,
    });
    expect(readFileSync(at('a')).toString()).toBe('before');
    expect(readdirSync(folder)).toEqual(['a', 'b']);
  });

  test('says why where there can be no folder', async () => {
    writeFileSync(at('file'), '');
    await expect(writeFiles(at('file', 'deep'), filesOf(['a', 'x']))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('cannot be written'),
    });
    await expect(writeFiles(at('file'), filesOf(['a', 'x']))).rejects.toMatchObject({ code: 'USAGE' });
    expect(existsSync(at('file'))).toBe(true);
  });
});
