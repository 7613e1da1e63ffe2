import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type OutputFile, openBelow, openFile, writeFiles, writeText } from '../../src/io/files.ts';
import { makeTemporaryFolder } from '../../src/io/temporary-folder.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const at = (...names: readonly string[]) => join(folder, ...names);

afterEach(() => {
  for (const name of readdirSync(folder)) rmSync(at(name), { recursive: true });
});

async function* fileOf(name: string, before: () => void = () => {}): AsyncIterable<OutputFile> {
  yield {
    name,
    chunks: (async function* () {
      yield Buffer.from('new');
      before();
    })(),
  };
}

const text = (...names: readonly string[]) => readFileSync(at(...names)).toString();

describe('an output', () => {
  test('behind a symbolic link is written where the link leads, which stays', async () => {
    mkdirSync(at('store'));
    writeFileSync(at('store', 'model'), 'old');
    symlinkSync(join('store', 'model'), at('link'));
    symlinkSync(join('store', 'other'), at('dangling'));
    await writeFiles(folder, fileOf('link'));
    await writeFiles(folder, fileOf('dangling'));
    expect([text('store', 'model'), text('store', 'other')]).toEqual(['new', 'new']);
    expect([lstatSync(at('link')), lstatSync(at('dangling'))].map((stats) => stats.isSymbolicLink())).toEqual([
      true,
      true,
    ]);
    expect(readdirSync(at('store')).sort()).toEqual(['model', 'other']);
  });

  test('is refused where links lead to one another', async () => {
    symlinkSync('b', at('a'));
    symlinkSync('a', at('b'));
    await expect(writeFiles(folder, fileOf('a'))).rejects.toMatchObject({ code: 'USAGE' });
  });

  test.skipIf(process.platform === 'win32')('to a pipe goes through it, and to a device into it', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    const reader = spawn('cat', [at('pipe')]);
    const read = new Promise((done) => reader.stdout.on('data', (data) => done(String(data))));
    await writeFiles(folder, fileOf('pipe'));
    expect(await read).toBe('new');
    expect(lstatSync(at('pipe')).isFIFO()).toBe(true);
    await writeFiles('/dev', fileOf('null'));
    writeText('/dev/null', 'new');
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test('that fails leaves what somebody else has put into its new folder', async () => {
    const failing = fileOf('a', () => {
      writeFileSync(at('new', 'theirs'), 'x');
      throw new Error('bug');
    });
    await expect(writeFiles(at('new', 'deep'), failing)).rejects.toThrow('bug');
    expect(readdirSync(folder, { recursive: true })).toEqual(['new', join('new', 'theirs')]);
  });

  test('a text appears whole', () => {
    writeFileSync(at('text'), 'before');
    writeText(at('text'), 'behind');
    expect([text('text'), readdirSync(folder)]).toEqual(['behind', ['text']]);
    mkdirSync(at('folder'));
    expect(() => writeText(at('folder'), 'x')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('a source that is written to while it is read', () => {
  const written = (change: () => void) => writeFiles(at('out'), fileOf('model', change));

  test.each<[string, () => void]>([
    ['grows', () => appendFileSync(at('source'), 'more')],
    [
      'changes in place',
      () => {
        writeFileSync(at('source'), 'SAME');
        utimesSync(at('source'), 1, 1);
      },
    ],
  ])('and %s leaves no output', async (_, change) => {
    writeFileSync(at('source'), 'same');
    const source = openFile(at('source'));
    await expect(written(change)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: `${at('source')}: was written to while it was read`,
    });
    expect(readdirSync(folder)).toEqual(['source']);
    source.close();
    await written(() => appendFileSync(at('source'), 'when it is closed'));
    expect(text('out', 'model')).toBe('new');
  });

  test('but replaced by name is still the old one', async () => {
    writeFileSync(at('source'), 'old');
    const source = openFile(at('source'));
    await written(() => {
      rmSync(at('source'));
      writeFileSync(at('source'), 'another');
    });
    expect([text('out', 'model'), Buffer.from(source.read(0, 3)).toString()]).toEqual(['new', 'old']);
    source.close();
  });
});

describe("a link in a model's folder", () => {
  const part = (name: string, place = 'model') => {
    const model = openFile(at(place, 'm'));
    try {
      openBelow(model, name).close();
    } finally {
      model.close();
    }
  };

  test("may lead to a file beside it or to the blobs of a hub's cache, and nowhere else", () => {
    const revision = join('models--a--b', 'snapshots', 'f00');
    for (const path of ['model', join('model', 'data'), revision, join('models--a--b', 'blobs')])
      mkdirSync(at(path), { recursive: true });
    for (const path of [
      'secret',
      join('model', 'm'),
      join('model', 'w'),
      join(revision, 'm'),
      join('models--a--b', 'blobs', '1'),
    ])
      writeFileSync(at(path), 'x');
    symlinkSync('w', at('model', 'inside'));
    symlinkSync(join('..', 'secret'), at('model', 'outside'));
    symlinkSync(join('..', '..', 'secret'), at('model', 'data', 'outside'));
    symlinkSync(join('..', '..', 'blobs', '1'), at(revision, 'blob'));
    symlinkSync(join('..', '..', '..', 'secret'), at(revision, 'outside'));
    part('inside');
    part('blob', revision);
    for (const leave of [() => part('outside'), () => part('data/outside'), () => part('outside', revision)])
      expect(leave).toThrow(
        expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining('is a link that leaves') }),
      );
  });
});

test('a missing folder for temporary files is told by its name', () => {
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = at('missing');
  try {
    expect(() => makeTemporaryFolder('test')).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringContaining(at('missing')) }),
    );
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
});
