import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the fixtures take less than 60 MB', () => {
  const files = readdirSync('fixtures', { recursive: true, encoding: 'utf8' }).map((file) => join('fixtures', file));
  const sizes = files.map((file) => statSync(file)).map((stat) => (stat.isFile() ? stat.size : 0));
  expect(sizes.length).toBeGreaterThan(1000);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(60_000_000);
});
