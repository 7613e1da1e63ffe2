import { readdirSync } from 'node:fs';

/** Every page for people, by its path. */
export const pages: readonly string[] = ['.', 'docs', 'docs/run', 'fixtures', 'conformance', 'schemas'].flatMap(
  (folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => (folder === '.' ? name : `${folder}/${name}`)),
);
