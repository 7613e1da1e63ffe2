import { createHash } from 'node:crypto';

/** A page without its own scripts and style: what a model's names can get into. */
function contentOf(page: string): string {
  return page.replace(/<script type="module">[\s\S]*?<\/script>/g, '').replace(/<style>[\s\S]*?<\/style>/, '');
}

/** Sections with their headings, tables and plots, in order. */
export function structureOf(page: string): string[] {
  const parts = contentOf(page).matchAll(
    /<(h1|h2|h3|caption)>([^<]*)<|<th scope="col"[^>]*>(?:<button[^>]*>)?([^<]*)|data-(picture)/g,
  );
  const lines: string[] = [];
  for (const [, tag, text, heading, isPicture] of parts) {
    if (tag) lines.push(`${tag} ${text}`);
    else if (isPicture) lines.push('picture');
    else lines.push(`${lines.pop()} | ${heading}`);
  }
  return lines;
}

/** What a page asks for from elsewhere, or lets run that is not its own; empty for a good one. */
export function problemsOf(page: string): string[] {
  const problems: string[] = [];
  const content = contentOf(page);
  for (const [found] of content.matchAll(/<(?:link|img|iframe|object|embed|base|form)\b[^>]*>/gi)) problems.push(found);
  for (const [found] of content.matchAll(/<[^>]*\s(?:on\w+|src|srcset|style)\s*=[^>]*>/gi)) problems.push(found);
  for (const [found, target] of content.matchAll(/<[^>]*\shref="([^"]*)"[^>]*>/g))
    if (!target?.startsWith('#')) problems.push(found);
  for (const [found] of content.matchAll(/<script\b(?! type="application\/json">)[^>]*>/gi)) problems.push(found);
  if (/url\(|@import/.test(page.match(/<style>[\s\S]*?<\/style>/)?.[0] ?? ''))
    problems.push('the style loads something');
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'") ?? '';
  if (!policy.startsWith("default-src 'none'")) problems.push(`policy: ${policy}`);
  for (const [, source] of page.matchAll(/<(?:script type="module"|style)>([\s\S]*?)<\/(?:script|style)>/g)) {
    const hash = createHash('sha256')
      .update(source ?? '')
      .digest('base64');
    if (!policy.includes(`'sha256-${hash}'`)) problems.push('a script or style that the policy does not allow');
  }
  return problems;
}

interface PictureText {
  readonly groups: readonly {
    readonly title: string;
    readonly mark: { readonly text: string; readonly tone: string } | null;
    readonly marked: number;
    readonly states: readonly string[];
    readonly layout: number | null;
    readonly nodes: readonly (readonly [
      op: string,
      label: string,
      name: string,
      type: string,
      details: readonly string[][],
      plots: readonly (readonly [
        title: string,
        histogram: number,
        limits: readonly [number, number] | null,
        axis: readonly [number, number] | null,
      ])[],
    ])[];
    readonly ports: readonly (readonly [string, string])[];
  }[];
  readonly layouts: readonly {
    readonly width: number;
    readonly height: number;
    readonly boxes: readonly [number, number, number][];
  }[];
  readonly histograms: readonly (readonly [least: number, most: number, rms: number, counts: readonly number[]])[];
  readonly links: readonly [number, number, string][];
}

/** What the page's script draws. */
export function pictureOf(page: string): PictureText {
  return JSON.parse(/<script type="application\/json">([\s\S]*?)<\/script>/.exec(page)?.[1] ?? 'null');
}
