import { expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { differenceText } from '../../src/reports/diff-words.ts';
import { CHANGES } from './changes.ts';

test('says of each change what it is and nothing else', async () => {
  const lines = CHANGES.map(({ name, a, b }) => {
    const { differences } = diffGraphs(a, b);
    return [name, ...differences.map((difference) => `  ${differenceText(difference)}`)].join('\n');
  });
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('golden/changes.txt');
});

test.each(CHANGES)('$name: nothing differs from itself', ({ b }) => {
  expect(diffGraphs(b, b).differences).toEqual([]);
});
