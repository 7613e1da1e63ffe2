/** HTML that may stand in a page as it is. Only `html`, `join` and constants of this folder make it. */
export interface Markup {
  readonly markup: string;
}

type Value = Markup | string | number | readonly Markup[] | null;

/** Fills a template of HTML: values are escaped, unless they are markup themselves. Null is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  let markup = parts[0] ?? '';
  for (const [i, value] of values.entries()) markup += textOf(value) + (parts[i + 1] ?? '');
  return { markup };
}

export function join(parts: readonly Markup[]): Markup {
  return { markup: parts.map(({ markup }) => markup).join('') };
}

export const NOTHING: Markup = { markup: '' };

function textOf(value: Value): string {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return 'markup' in value ? value.markup : join(value).markup;
}

const ENTITIES: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for HTML and quoted attributes. Control characters have no place in HTML and become U+FFFD. */
function escapeHtml(text: string): string {
  return replaceControls(text).replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** Prints JSON for a `<script type="application/json">`: nothing in it ends the element. */
export function jsonMarkup(data: unknown): Markup {
  return { markup: JSON.stringify(data).replace(/</g, '\\u003c') };
}

function replaceControls(text: string): string {
  return Array.from(text, (character) => (isControl(character) ? '\ufffd' : character)).join('');
}

function isControl(character: string): boolean {
  const code = character.charCodeAt(0);
  return (code < 0x20 && character !== '\n' && character !== '\t') || (code >= 0x7f && code < 0xa0);
}
