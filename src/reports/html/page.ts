import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { VERSION } from '../../version.ts';
import { html, type Markup, NOTHING } from './markup.ts';
import { STYLE } from './style.ts';

/** Place of a page: a file that asks for nothing, or the server of `mbert view`, which takes models to compare. */
export type Place = 'file' | ServedPlace;

export interface ServedPlace {
  readonly maxDroppedBytes: number;
  /** Whether it is the page that one begins with. */
  readonly isFirst: boolean;
}

interface Page {
  readonly title: string;
  /** Line under the title. */
  readonly lead: Markup | string;
  readonly verdict?: { readonly isGood: boolean; readonly text: string };
  readonly sections: readonly Section[];
  /** Default: a file. */
  readonly place?: Place | undefined;
}

export interface Section {
  readonly title: string;
  readonly body: Markup;
}

/** Scripts of a page, each with its files, run as they are: no names of a model get into them. Most calls make no page, and read none. */
const SCRIPTS = [['tables.js'], ['histogram.js'], ['elements.js', 'layer-list.js', 'picture.js'], ['enlarge.js']];
const DROP_SCRIPT = ['drop.js'];

/** Files of one script, each behind those that it imports. A page is one file, so that there is nothing to import from. */
function script(files: readonly string[]): string {
  return files
    .map((name) => readFileSync(new URL(`page/${name}`, import.meta.url), 'utf8').replace(MODULE_WORDS, ''))
    .join('\n');
}

/** What makes modules of the files: whole imports, and the word `export` before a function. */
const MODULE_WORDS = /^import .*\n|^export (?=function )/gm;

/**
 * Makes a page in one file that asks for nothing from elsewhere. Its policy allows these scripts and this style by
 * their hashes only, so that what a model's author wrote into a name could not run even where it was not escaped. A
 * page that is served may ask its own server.
 */
export function pageHtml({ title, lead, verdict, sections, place = 'file' }: Page): string {
  const scripts = (place === 'file' ? SCRIPTS : [...SCRIPTS, DROP_SCRIPT]).map(script);
  const filled = sections.filter(({ body }) => body.markup.trim() !== '');
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(sourceHash).join(' ')}`,
    `style-src ${sourceHash(STYLE)}`,
    ...(place === 'file' ? [] : ["connect-src 'self'"]),
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const badge = verdict && html`<p class="${verdict.isGood ? 'verdict good' : 'verdict bad'}">${verdict.text}</p>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="mbert ${VERSION}">
<title>${title}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
${place === 'file' ? null : dropBar(place)}<header><p class="product">mbert</p><h1>${title}</h1><p class="lead">${lead}</p>${badge ?? null}
<nav aria-label="Sections"><ul>${filled.map(({ title: name }) => html`<li><a href="#${anchorOf(name)}">${name}</a></li>`)}</ul></nav></header>
<main>${filled.map(
    ({ title: name, body }) => html`<section id="${anchorOf(name)}"><h2>${name}</h2>${body}</section>
`,
  )}</main>
<footer>mbert ${VERSION}</footer>
${scripts.map(
  (source) => html`<script type="module">${{ markup: source }}</script>
`,
)}</body>
</html>
`.markup;
}

/** Bar of a served page: the way back, and where to choose a model to compare with. */
function dropBar({ maxDroppedBytes, isFirst }: ServedPlace): Markup {
  return html`<aside class="drop" data-drop="${maxDroppedBytes}" aria-label="Compare">${
    isFirst ? null : html`<a href="./">First page</a>`
  }<label>Compare with <input type="file" multiple></label><span class="hint">or drop the file or folder of a model on the page</span><span role="status"></span></aside>
`;
}

/** Anchor of a heading in the page. */
function anchorOf(title: string): string {
  return title.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

function sourceHash(source: string): string {
  return `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
}

/** A number that is to be seen first, with what it is of. */
export interface Tile {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
  readonly tone?: 'good' | 'bad';
}

export function tiles(items: readonly Tile[]): Markup {
  return html`<ul class="tiles">${items.map(
    ({ label, value, note, tone }) =>
      html`<li class="${tone === undefined ? 'tile' : `tile ${tone}`}"><span class="label">${label}</span><span class="value">${value}</span>${note === undefined ? null : html`<span class="of">${note}</span>`}</li>`,
  )}</ul>`;
}

export function charts(items: readonly Markup[]): Markup {
  const filled = items.filter(({ markup }) => markup !== '');
  return filled.length === 0 ? NOTHING : html`<div class="charts">${filled}</div>`;
}

export function code(text: string): Markup {
  return html`<code>${text}</code>`;
}

/** List of the reasons why the answer is no. */
export function failuresList(failures: readonly string[]): Markup {
  return failures.length === 0
    ? NOTHING
    : html`<ul class="failures">${failures.map((failure) => html`<li>${failure}</li>`)}</ul>`;
}

export function warningsList(warnings: readonly string[]): Markup {
  return warnings.length === 0
    ? NOTHING
    : html`<ul class="note">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>`;
}
