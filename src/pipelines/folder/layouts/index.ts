import type { LayoutName } from '../../../options/forms.ts';
import type { Layout } from '../layout.ts';
import { mediapipe } from './mediapipe.ts';
import { plain } from './plain.ts';
import { sentenceTransformers } from './sentence-transformers.ts';
import { transformersJs } from './transformers-js.ts';

const layouts: { readonly [L in LayoutName]: Layout } = {
  'transformers.js': transformersJs,
  'sentence-transformers': sentenceTransformers,
  mediapipe,
};

/** The layout of a program; without one, a folder of models alone. */
export function layoutNamed(name: LayoutName | undefined): Layout {
  return name === undefined ? plain : layouts[name];
}
