import { describe, expect, test } from 'vitest';
import type { Evidence } from '../../../src/options/evidence.ts';
import type { RowReader } from '../../../src/pipelines/evaluate/row-reader.ts';
import { type SampleSetOptions, takeSamples } from '../../../src/pipelines/evaluate/sample-sets.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import type { SampleFile, TokenSample } from '../../../src/samples/open-samples.ts';

/** A sequence that its middle token tells from others. */
function sample(id: number, label?: number | string): TokenSample {
  return { row: { inputIds: [2, id, 3], tokenTypeIds: [0, 0, 0] }, label, texts: undefined };
}

/** Samples of the ids from one to another, the last included. */
function samples(from: number, to: number): TokenSample[] {
  return Array.from({ length: to - from + 1 }, (_, i) => sample(from + i));
}

function file(path: string, all: readonly TokenSample[], warnings: readonly string[] = []): SampleFile {
  return {
    path,
    count: all.length,
    sha256: 'hash',
    warnings,
    taken: 'lines of text',
    take: (start, count) => ({ samples: all.slice(start, start + count), truncated: 0, warnings: [] }),
  };
}

const EVIDENCE: Evidence = {
  calibrate: 'texts',
  samples: 16,
  seed: undefined,
  data: undefined,
  allowOverlap: false,
  maxDrop: undefined,
};

function take(
  files: { readonly texts?: SampleFile | readonly TokenSample[]; readonly data?: readonly TokenSample[] },
  evidence: Partial<Evidence> = {},
  options: Partial<SampleSetOptions> = {},
) {
  const open = (path: string) => {
    const found = files[path as 'texts' | 'data'] ?? [];
    return 'take' in found ? found : file(path, found);
  };
  const reader: RowReader = {
    tokenizer: { pad: 0, mask: undefined },
    tokenTypes: 1,
    open,
    inOrder: open,
    read: () => ({ rows: [] }),
  };
  const given = { ...EVIDENCE, ...(files.data && { data: 'data' }), ...evidence };
  return takeSamples(reader, { evidence: given, task: undefined, classOf: undefined, ...options });
}

const idsOf = (rows: readonly TokenRow[]) => rows.map(({ inputIds }) => inputIds[1]);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('one file', () => {
  test('is calibrated on from its first sample, tried on by the next 32, and proven by the rest', () => {
    const { calibration, validation, proof } = take({ texts: samples(1, 16 + 32 + 40) });
    expect(idsOf(calibration)).toEqual(range(1, 16));
    expect(idsOf(validation)).toEqual(range(17, 48));
    expect(idsOf(proof)).toEqual(range(49, 88));
  });

  test('of which 256 samples are proof enough', () => {
    const { proof } = take({ texts: samples(1, 1000) });
    expect(idsOf(proof)).toEqual(range(49, 49 + 255));
  });

  test.each([
    [64, 32, range(49, 80)],
    [63, 32, range(17, 79)],
    [20, 20, range(17, 36)],
  ])('with %i samples left tries on %i, which prove as well where there are too few', (left, tried, proven) => {
    const { validation, proof } = take({ texts: samples(1, 16 + left) });
    expect(validation).toHaveLength(tried);
    expect(idsOf(proof)).toEqual(proven);
  });

  test('that repeats itself is held out only where it says something new, once', () => {
    const { validation, proof } = take({
      texts: [...samples(1, 16), sample(3), ...samples(17, 19), sample(18), sample(16)],
    });
    expect(idsOf(validation)).toEqual([17, 18, 19]);
    expect(idsOf(proof)).toEqual([17, 18, 19]);
  });

  test('may say the same in two texts that it says in one: that is something else', () => {
    const pair = { ...sample(3), row: { inputIds: [2, 3, 3], tokenTypeIds: [0, 1, 1] } };
    const { validation } = take({ texts: [...samples(1, 16), pair] });
    expect(validation).toEqual([pair.row]);
  });

  test('that is calibrated on to its end is tried on by its last samples, and proves nothing', () => {
    const { calibration, validation, proof } = take({ texts: samples(1, 40) }, { samples: 40 });
    expect(calibration).toHaveLength(40);
    expect(idsOf(validation)).toEqual(range(9, 40));
    expect(proof).toEqual([]);
  });

  test('holds out nothing that an earlier step was fitted to', () => {
    const { calibration, validation, proof } = take({ texts: samples(1, 140) }, {}, { used: 60 });
    expect(idsOf(calibration)).toEqual(range(1, 16));
    expect(idsOf(validation)).toEqual(range(61, 92));
    expect(idsOf(proof)).toEqual(range(93, 140));
    expect(idsOf(take({ texts: samples(1, 140) }, {}, { used: 5 }).validation)).toEqual(range(17, 48));
  });

  test('is named in the manifest, with how many of it were calibrated on', () => {
    const { manifest } = take({ texts: samples(1, 10) }, { seed: 7 });
    expect(manifest).toEqual({ source: 'texts', sha256: 'hash', count: 10, seed: 7 });
  });
});

describe('a file of held-out samples', () => {
  test('proves, all of it, while trials keep to the file that is calibrated on', () => {
    const { validation, proof, overlap } = take({ texts: samples(1, 60), data: samples(100, 499) });
    expect(idsOf(validation)).toEqual(range(17, 48));
    expect(idsOf(proof)).toEqual(range(100, 499));
    expect(overlap).toBe(0);
  });

  test('alone has nothing to calibrate or try on', () => {
    const found = take({ data: samples(1, 40) }, { calibrate: undefined });
    expect(found).toMatchObject({ calibration: [], validation: [], manifest: undefined, warnings: [] });
    expect(found.proof).toHaveLength(40);
  });

  test('that was calibrated on is refused, wherever in the calibration samples it is', () => {
    for (const id of [1, 20, 40]) {
      const data = [...samples(100, 150), sample(id)];
      expect(() => take({ texts: samples(1, 60), data }, { samples: 40 })).toThrow(
        expect.objectContaining({
          code: 'USAGE',
          message: 'data: 1 of its 52 samples are calibration samples as well, the first is sample 52',
        }),
      );
    }
    expect(take({ texts: samples(1, 60), data: [...samples(100, 150), sample(41)] }, { samples: 40 }).overlap).toBe(0);
  });

  test('that was calibrated on is counted and told of where that is allowed', () => {
    const data = [...samples(100, 150), sample(3), sample(4)];
    const { overlap, warnings, proof } = take({ texts: samples(1, 60), data }, { allowOverlap: true });
    expect(overlap).toBe(2);
    expect(proof).toHaveLength(53);
    expect(warnings).toEqual(['data: 2 samples were calibrated on: the proof is too good']);
  });
});

describe('labels', () => {
  const classOf = (label: number | string) => Number(label);
  const labelled = (count: number) => Array.from({ length: count }, (_, i) => sample(100 + i, i % 3));

  test('are those of the proof, read as classes', () => {
    const { labels } = take({ texts: samples(1, 60), data: labelled(40) }, {}, { classOf });
    expect(labels).toEqual(Array.from({ length: 40 }, (_, i) => i % 3));
  });

  test.each([
    ['the task has none', labelled(40), undefined],
    ['the first sample has none', [sample(99), ...labelled(40)], classOf],
  ])('are none where %s', (_, data, reader) => {
    expect(take({ texts: samples(1, 60), data }, {}, { classOf: reader }).labels).toBeUndefined();
  });

  test('that nobody reads are told of', () => {
    const warningsOf = (data: readonly TokenSample[], options: Partial<SampleSetOptions>) =>
      take({ texts: samples(1, 60), data }, {}, options).warnings;
    expect(warningsOf(labelled(40), { task: undefined })).toEqual([
      'data: its labels are not read: the model does not say what its outputs are',
    ]);
    expect(warningsOf(labelled(40), { task: 'sentence-embedding' })).toEqual([
      'data: its labels are not read: sentence-embedding has none to count here',
    ]);
    expect(warningsOf(samples(100, 140), { task: undefined })).toEqual([]);
    expect(warningsOf(labelled(40), { classOf })).toEqual([]);
  });

  test('of the calibration file are not asked for', () => {
    const { labels } = take({ texts: Array.from({ length: 90 }, (_, i) => sample(i, 1)) }, {}, { classOf });
    expect(labels).toBeUndefined();
  });

  test('that end are missed, with the sample', () => {
    const data = [...labelled(40), sample(200)];
    expect(() => take({ texts: samples(1, 60), data }, {}, { classOf })).toThrow(
      expect.objectContaining({ code: 'MISMATCH', message: 'data: sample 41: has no label, the first one has' }),
    );
  });
});

describe('too few samples', () => {
  test('to calibrate on are told of, unless no more were asked for', () => {
    const told = (count: number, asked: number) =>
      take({ texts: samples(1, count), data: samples(100, 140) }, { samples: asked }).warnings;
    const problem = 'to calibrate on: other texts will leave the ranges of so few';
    expect(told(15, 128)).toEqual([`texts: has 15 samples ${problem}`]);
    expect(told(1, 128)).toEqual([`texts: has one sample ${problem}`]);
    expect(told(16, 128)).toEqual([]);
    expect(told(60, 4)).toEqual([]);
  });

  test('to prove by are told of, and refused where a gate asks for them', () => {
    const files = { texts: samples(1, 16 + 31) };
    const problem = 'texts: 31 samples are left for the proof, 32 are the least';
    const hint = '16 of its 47 are calibrated on: give a longer file, other texts as --data FILE';
    expect(take(files).warnings).toEqual([`${problem}: ${hint}`]);
    expect(() => take(files, { maxDrop: 1 })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: problem, hint }),
    );
    expect(take({ texts: samples(1, 16 + 32) }, { maxDrop: 1 }).proof).toHaveLength(32);
    const data = { texts: samples(1, 100), data: samples(200, 230) };
    expect(() => take(data, { maxDrop: 1 })).toThrow(
      expect.objectContaining({ message: problem.replace('texts', 'data'), hint: 'give it more samples' }),
    );
  });

  test('are left by fewer to calibrate on, where these are enough', () => {
    const hint = (count: number) => take({ texts: samples(1, count) }, { samples: 128 }).warnings.at(-1);
    expect(hint(48)).toMatch(/48 of its 48 are calibrated on: .*, or --samples 16$/);
    expect(hint(47)).toMatch(/--data FILE$/);
    expect(take({ texts: samples(1, 48) }, { samples: 16 }).warnings).toEqual([]);
  });

  test('are none where nothing is measured at all', () => {
    const { proof, warnings } = take({}, { calibrate: undefined, maxDrop: 1 });
    expect({ proof, warnings }).toEqual({ proof: [], warnings: [] });
  });

  test('with a token of text in them are none to calibrate on', () => {
    const empty = { ...sample(0), row: { inputIds: [2, 3], tokenTypeIds: [0, 0] } };
    expect(() => take({ texts: Array(20).fill(empty) })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: 'texts: no sample has a token besides [CLS] and [SEP]' }),
    );
    expect(take({ texts: [...Array(15).fill(empty), ...samples(1, 50)] }).calibration).toHaveLength(16);
  });
});

test('what both files warn of is told once', () => {
  const warned = (path: string, from: number) => file(path, samples(from, from + 60), ['vocabulary: has 5 tokens']);
  const { warnings } = take({ texts: warned('texts', 1), data: warned('data', 100) as never });
  expect(warnings).toEqual(['vocabulary: has 5 tokens']);
});

describe('texts to train on', () => {
  test('are the calibration samples alone where no others are asked for', () => {
    const { training, watched } = take({ texts: samples(1, 1000) });
    expect(idsOf(training)).toEqual(range(1, 16));
    expect(idsOf(watched)).toEqual(range(17, 48));
  });

  test('are all that nothing is measured on, an eighth of them set aside to watch', () => {
    const { training, watched, proof } = take({ texts: samples(1, 1000) }, {}, { pool: 5000 });
    expect(idsOf(proof)).toEqual(range(49, 304));
    expect(idsOf(watched)).toEqual([...range(17, 48), ...range(305, 391)]);
    expect(idsOf(training)).toEqual([...range(1, 16), ...range(392, 1000)]);
  });

  test('and those that watch are not what is measured on', () => {
    const files = { texts: samples(1, 1000), data: [...samples(2001, 2040), sample(20)] };
    expect(() => take(files, {}, { pool: 5000 })).toThrow('1 of its 41 samples are calibration samples as well');
    expect(take(files).overlap).toBe(0);
  });

  test('are no more than were asked for', () => {
    const { training, watched } = take({ texts: samples(1, 1000) }, {}, { pool: 20 });
    expect(idsOf(training)).toEqual([...range(1, 16), ...range(341, 344)]);
    expect(idsOf(watched)).toEqual([...range(17, 48), ...range(305, 340)]);
    expect(idsOf(take({ texts: samples(1, 1000) }, {}, { pool: 10 }).training)).toEqual(range(1, 16));
  });

  test('is proven by texts that training is kept by where there are no others, with a warning', () => {
    const kept = /too few texts to prove a training on others than those that it is kept by/;
    const few = take({ texts: samples(1, 16 + 63) }, {}, { pool: 5000 });
    expect(idsOf(few.watched).slice(0, 32)).toEqual(idsOf(few.proof).slice(0, 32));
    expect(few.warnings.join()).toMatch(kept);
    for (const [files, pool] of [
      [{ texts: samples(1, 16 + 64) }, 5000],
      [{ texts: samples(1, 16 + 63) }, 0],
      [{ texts: samples(1, 16 + 63), data: samples(2001, 2040) }, 5000],
      [{ texts: samples(1, 16) }, 5000],
    ] as const)
      expect(take(files, {}, { pool }).warnings.join()).not.toMatch(kept);
  });

  test('are watched by none of them where a file has no more', () => {
    const { training, watched, validation } = take({ texts: samples(1, 16) }, {}, { pool: 5000 });
    expect(idsOf(training)).toEqual(range(1, 16));
    expect(validation).not.toEqual([]);
    expect(watched).toEqual([]);
  });

  test('with a file of their own to measure on', () => {
    const { training, watched } = take({ texts: samples(1, 1000), data: samples(2001, 2040) }, {}, { pool: 5000 });
    expect(idsOf(watched)).toEqual([...range(17, 48), ...range(49, 167)]);
    expect(idsOf(training)).toEqual([...range(1, 16), ...range(168, 1000)]);
  });

  test('must not be measured on', () => {
    const files = { texts: samples(1, 1000), data: samples(900, 940) };
    expect(() => take(files, {}, { pool: 5000 })).toThrow('41 of its 41 samples are calibration samples as well');
    expect(() => take(files)).not.toThrow();
  });

  test('have their labels where these are learnt from', () => {
    const texts = samples(1, 60).map((each, i) => (i % 2 === 0 ? { ...each, label: 'good' } : each));
    const options = { pool: 5000, hasLabels: true, classOf: (label: number | string) => (label === 'good' ? 1 : 0) };
    const { training } = take({ texts }, {}, options);
    expect(training.map(({ label }) => label)).toEqual(range(1, 16).map((id) => (id % 2 === 1 ? 1 : undefined)));
    expect(() => take({ texts: samples(1, 60) }, {}, options)).toThrow('--labels: texts has none');
    expect(() => take({ texts }, {}, { ...options, classOf: undefined })).toThrow(
      '--labels: the model is no classifier of texts with one right class each',
    );
  });
});

describe('what is said of the texts that were trained on', () => {
  const saidOf = ({ learnt }: ReturnType<typeof take>) => [learnt?.count, learnt?.places, learnt?.watched];

  test('is where they stand in the file, from 0, and where those that watched stand', () => {
    const sets = take({ texts: samples(1, 1000) }, { seed: 3 }, { pool: 5000 });
    expect(saidOf(sets)).toEqual([
      625,
      [
        [0, 16],
        [391, 1000],
      ],
      [
        [16, 48],
        [304, 391],
      ],
    ]);
    expect(sets.learnt).toMatchObject({ source: 'texts', sha256: 'hash', seed: 3 });
  });

  test('counts each text once, where it first stands', () => {
    const texts = [...samples(1, 16), sample(3), ...samples(17, 400), sample(50), ...samples(401, 700)];
    const [count, places] = saidOf(take({ texts, data: samples(2001, 2040) }, {}, { pool: 5000 }));
    expect([count, places]).toEqual([
      587,
      [
        [0, 16],
        [130, 401],
        [402, 702],
      ],
    ]);
  });

  test('is nothing where nothing is trained on', () => {
    expect(take({ texts: samples(1, 1000) }).learnt).toBeUndefined();
    expect(take({ data: samples(1, 40) }, { calibrate: undefined }, { pool: 5000 }).learnt).toBeUndefined();
  });
});

describe('samples that an earlier training was watched by', () => {
  test('watch again, are not trained on, and prove nothing', () => {
    const watchedBefore = samples(300, 340);
    const { watched, training, proof } = take({ texts: samples(1, 400) }, {}, { pool: 1000, watched: watchedBefore });
    expect(idsOf(watched).slice(0, 32)).toEqual(range(300, 331));
    expect(idsOf(proof)).toEqual(range(17, 272));
    // Of the 96 texts behind, an eighth watches, those that have done so first.
    expect(idsOf(watched).slice(32)).toEqual([...range(332, 340), ...range(273, 275)]);
    expect(idsOf(training)).toEqual([...range(1, 16), ...range(276, 299), ...range(341, 400)]);
  });

  test('prove nothing where they are all that is left', () => {
    const sets = take({ texts: samples(1, 60) }, {}, { pool: 1000, watched: samples(17, 60) });
    expect(idsOf(sets.watched)).toEqual(range(17, 49));
    expect(sets.proof).toEqual([]);
    expect(sets.warnings.join()).toContain('0 samples are left for the proof');
  });

  test('are not measured on in a file of their own, unless that is asked for', () => {
    const files = { texts: samples(100, 200), data: samples(30, 80) };
    const watched = samples(70, 90);
    expect(() => take(files, {}, { watched })).toThrow('data: 11 of its 51 samples are calibration samples as well');
  });
});

describe('samples that the model was fitted to before', () => {
  const fitted = samples(10, 40);

  test('are trained on, and none of what is measured is among them', () => {
    const { training, watched, proof } = take({ texts: samples(1, 400) }, {}, { pool: 1000, fitted });
    const measured = new Set([...idsOf(watched), ...idsOf(proof)]);
    expect(range(10, 40).filter((id) => measured.has(id))).toEqual([]);
    expect(idsOf(training)).toEqual(expect.arrayContaining(range(1, 40)));
    expect([...idsOf(training), ...measured].sort((a, b) => Number(a) - Number(b))).toEqual(range(1, 400));
  });

  test('are no more than the pool allows', () => {
    const { training } = take({ texts: samples(1, 400) }, {}, { pool: 20, fitted });
    expect(idsOf(training)).toEqual(range(1, 20));
  });

  test('are not measured on in a file of their own, unless that is asked for', () => {
    const files = { texts: samples(100, 200), data: samples(30, 80) };
    expect(() => take(files, {}, { fitted })).toThrow('data: 11 of its 51 samples are calibration samples as well');
    expect(take(files, { allowOverlap: true }, { fitted }).overlap).toBe(11);
  });
});
