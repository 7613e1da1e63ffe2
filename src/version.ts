import { readFileSync } from 'node:fs';

/** Folder of this package, above src/ and above the bundles of dist/. */
export const PACKAGE = new URL('../', import.meta.url);

const manifest: { readonly version: string } = JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8'));

/** The version of this package. */
export const VERSION = manifest.version;
