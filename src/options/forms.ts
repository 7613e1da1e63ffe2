import { MbertError, nearest } from '../errors.ts';

/**
 * Forms in which one model can be written: floats, halves, 8-bit weights with ranges found in each run, 8-bit weights and
 * calibrated values, 4-bit weights.
 */
export const FORMS = ['f32', 'f16', 'dynamic', 'int8', 'w4'] as const;
export type FormName = (typeof FORMS)[number];

/** Programs whose folders can be written; without one, a folder holds nothing but the models. */
export const LAYOUTS = ['transformers.js', 'sentence-transformers', 'mediapipe'] as const;
export type LayoutName = (typeof LAYOUTS)[number];

/** Options for a folder with a model in several forms. */
export interface FolderLayoutOptions {
  /** Forms to write. Default `f32`. */
  readonly forms?: readonly string[] | undefined;
  /** Program that will open the folder: names and files beside the model are those that it looks for. */
  readonly layout?: LayoutName | undefined;
  /** Takes tokens out: all but those of a file of texts, or of scripts as `Latin,Greek`. */
  readonly trimVocabulary?: string | undefined;
}

/** Reads a list of forms, in the order of the table. Throws USAGE for a name that is none. */
export function formsOf(names: readonly string[] = ['f32']): readonly FormName[] {
  return formsIn(FORMS, names);
}

/** Reads a list of names of a table of forms, in its order. Throws USAGE for a name that is none. */
export function formsIn<T extends string>(table: readonly T[], names: readonly string[]): readonly T[] {
  for (const name of names) {
    if (table.some((form) => form === name)) continue;
    const close = nearest(name, table);
    throw new MbertError('USAGE', `--forms: there is no form "${name}"`, {
      hint: close === undefined ? `forms are ${table.join(', ')}` : `did you mean ${close}?`,
    });
  }
  return table.filter((form) => names.includes(form));
}
