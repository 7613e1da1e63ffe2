import type { DelegateSummary, ModelDescription, Port } from '../pipelines/inspect/describe.ts';
import type { InspectResult } from '../pipelines/inspect/inspect.ts';
import { printable } from '../printable.ts';
import { plural, size } from './text.ts';

/** Prints the canonical text of a graph behind three lines of summary, for lock files. */
export function graphPage({ text, summary }: InspectResult): string {
  const { architecture, task, parameters, bytes, dtypes, ops } = summary;
  const heading = [
    `${architecture}${task ? `, ${task}` : ''}`,
    `${parametersText(parameters)}, ${size(bytes)} (${dtypes.join(', ')})`,
    nodesText(ops),
  ];
  return `${heading.map((line) => `// ${line}`).join('\n')}\n${text}`;
}

/** Facts that have a line of their own, or are told in other words. */
const TOLD = ['producer', 'mbert.version', 'mbert.architecture', 'mbert.task', 'mbert.labels', 'mbert.lower_case'];
/** Longest fact that a line shows. */
const MAX_FACT = 100;
/** Most labels that a line shows. */
const MAX_LABELS = 8;
/** Width of the names in front. */
const NAME_WIDTH = 11;

/** Prints what a model is: who wrote it, what goes in and comes out, how it is stored. */
export function inspectText({ source, summary, model }: InspectResult): string {
  const { parameters, ops } = summary;
  const { format, fileBytes, writtenBy, facts, maxPositions, stored } = model;
  const bytes = stored.reduce((sum, each) => sum + each.bytes, 0);
  const rows: (readonly [string, string | undefined])[] = [
    ['model', modelTitle(summary, facts)],
    ['written by', writtenBy ?? undefined],
    ...portRows('inputs', model.inputs),
    ...portRows('outputs', model.outputs),
    ['length', maxPositions === null ? undefined : `at most ${maxPositions} tokens`],
    ['labels', labelsText(model.labels)],
    ['vocabulary', vocabularyText(model)],
    ['weights', `${parametersText(parameters)}, ${size(bytes)}`],
    ...stored.map((each) => ['', `${size(each.bytes)} ${each.storage} in ${plural(each.weights, 'weight')}`] as const),
    ['integers', integersText(model)],
    ['nodes', nodesText(ops)],
    ['delegate', delegateText(model.delegate)],
    ...Object.entries(facts)
      .filter(([name]) => !TOLD.includes(name))
      .map(([name, value]) => ['states', `${name}: ${shortened(value)}`] as const),
  ];
  // Names of facts, operators and ports are a stranger's words.
  const lines = rows.flatMap(([name, text]) =>
    text === undefined ? [] : [`${name.padEnd(NAME_WIDTH)}${printable(text)}`],
  );
  return [`${printable(source)}: ${format}${fileBytes === null ? '' : `, ${size(fileBytes)}`}`, ...lines].join('\n');
}

/** Architecture and task of a model; a file that mbert wrote says what it was made of. */
export function modelTitle(summary: InspectResult['summary'], facts: ModelDescription['facts']): string {
  const { 'mbert.architecture': architecture = summary.architecture, 'mbert.task': task = summary.task } = facts;
  return `${architecture}${task ? `, ${task}` : ''}`;
}

function portRows(name: string, ports: readonly Port[]): (readonly [string, string])[] {
  return ports.map((port, i) => [i === 0 ? name : '', `${port.name} ${port.type}`]);
}

function labelsText(labels: readonly string[] | null): string | undefined {
  if (labels === null) return undefined;
  const more = labels.length > MAX_LABELS ? ` and ${labels.length - MAX_LABELS} more` : '';
  return `${labels.length}: ${labels.slice(0, MAX_LABELS).join(', ')}${more}`;
}

function vocabularyText({ vocabulary }: ModelDescription): string {
  if (vocabulary === null) return 'none: texts need --vocab';
  const { kind, tokens, lowerCase } = vocabulary;
  return `${tokens} tokens${kind === null ? '' : `, ${kind}`}, ${lowerCase ? 'lower case' : 'cased'}`;
}

function integersText({ integerValues: { integers, values } }: ModelDescription): string | undefined {
  return integers === 0 ? undefined : `${integers} of ${values} computed values`;
}

function delegateText(delegate: DelegateSummary | null): string | undefined {
  if (delegate === null) return undefined;
  const { operators, taken, partitions, left } = delegate;
  if (partitions === null) {
    if (operators === 0) return undefined;
    return `ONNX Runtime runs ${taken} of ${plural(operators, 'product')} with integers by the fastest kernels${leftText(left)}`;
  }
  return `XNNPACK takes ${taken} of ${operators} operators in ${plural(partitions, 'partition')}${leftText(left)}`;
}

function leftText(left: DelegateSummary['left']): string {
  const names = Object.entries(left).map(([name, count]) => `${name} ${count}`);
  return names.length === 0 ? '' : `; it leaves ${names.join(', ')}`;
}

function shortened(value: string): string {
  return value.length > MAX_FACT ? `${value.slice(0, MAX_FACT)}…` : value;
}

function parametersText(parameters: number): string {
  return `${(parameters / 1e6).toFixed(2)} M parameters`;
}

function nodesText(ops: InspectResult['summary']['ops']): string {
  const counts = Object.entries(ops).map(([op, count]) => `${op} ${count}`);
  const total = Object.values(ops).reduce((sum, count) => sum + count, 0);
  return `${plural(total, 'node')}: ${counts.join(', ')}`;
}
