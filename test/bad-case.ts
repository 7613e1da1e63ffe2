import { readdirSync, readFileSync } from 'node:fs';
import { unpacked } from './unpacked.ts';

/** The damaged and hostile folders of fixtures/bad. */
export const BAD_CASES = readdirSync('fixtures/bad');

/** The path of a damaged folder, its files whole: in a temporary folder, gone when the test file is done. */
export function badCase(name: string): string {
  return unpacked(`fixtures/bad/${name}`);
}

/** What the fixture asks for: `error` is exit code 2, `warning` exit code 0 with a warning. */
export function severityOf(name: string): 'error' | 'warning' {
  const { severity } = JSON.parse(readFileSync(`fixtures/bad/${name}/manifest.json`, 'utf8')) as {
    severity: 'error' | 'warning';
  };
  return severity;
}
