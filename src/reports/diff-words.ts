import type {
  AttrValue,
  Difference,
  MovedDifference,
  Names,
  NodeRef,
  NodesDifference,
  NumericDifference,
  PortDifference,
  QuantDifference,
  Reader,
  ValueError,
  WeightDifference,
} from '../diff/difference.ts';
import { listNames } from '../errors.ts';
import { choicesName } from './agreement.ts';
import { plural, size } from './text.ts';

/** A difference in one line. */
export function differenceText(difference: Difference): string {
  switch (difference.kind) {
    case 'structure':
      return structureText(difference);
    case 'weights':
      return 'tensors' in difference ? movedText(difference) : weightText(difference);
    case 'quant':
      return quantText(difference);
    case 'metadata':
      return `${difference.key}: ${shown(difference.from)} -> ${shown(difference.to)}`;
    case 'size': {
      const { fromBytes, toBytes, limitBytes } = difference;
      return `${size(fromBytes)} -> ${size(toBytes)}: ${signed(toBytes - fromBytes)}, allowed ${size(limitBytes)}`;
    }
    default:
      return numericText(difference);
  }
}

function structureText(difference: Extract<Difference, { kind: 'structure' }>): string {
  switch (difference.change) {
    case 'added':
    case 'removed':
    case 'replaced':
      return nodesText(difference);
    case 'rewired':
      return rewiredText(difference.readers);
    case 'operands-swapped':
      return `${namesText(difference.node)} (${difference.op}): reads ${difference.to.join(', ')}, was ${difference.from.join(', ')}`;
    case 'attributes': {
      const changes = difference.attributes.map(({ name, from, to }) => `${name} ${attrText(from)} -> ${attrText(to)}`);
      return `${namesText(difference.node)} (${difference.op}): ${changes.join(', ')}`;
    }
    case 'input-type':
      return `input ${namesText(difference.input)}: ${difference.from} -> ${difference.to}`;
    case 'input-added':
    case 'input-removed':
    case 'output-added':
    case 'output-removed':
      return portText(difference);
    default:
      return `${difference.change.replace('-', ' ')}: ${difference.from.join(', ')} -> ${difference.to.join(', ')}`;
  }
}

function nodesText({ change, a, b, readers }: NodesDifference): string {
  if (change === 'replaced') return `replaced ${refsText(a)} by ${refsText(b)}, read by ${readersText(readers)}`;
  return `${change} ${refsText(change === 'added' ? b : a)}${thereforeText(readers)}`;
}

function portText({ change, name, type, nodes, readers }: PortDifference): string {
  const gone = nodes.length === 0 ? '' : `, with ${refsText(nodes)}${thereforeText(readers)}`;
  return `${change.replace('-', ' ')}: ${name} ${type}${gone}`;
}

function thereforeText(readers: readonly Reader[]): string {
  return readers.length === 0 ? '' : `; ${rewiredText(readers)}`;
}

/** Readers in words, grouped by what they read now. */
function rewiredText(readers: readonly Reader[]): string {
  const groups = new Map<string, Reader[]>();
  for (const reader of readers) {
    const key = `${shown(reader.to)}, was ${shown(reader.from)}`;
    groups.set(key, [...(groups.get(key) ?? []), reader]);
  }
  return [...groups]
    .map(([reads, members]) => `${readersText(members)} ${members.length === 1 ? 'reads' : 'read'} ${reads}`)
    .join('; ');
}

/** Nodes in words: one or two by name; of more how many there are, of which ops, from the first to the last. */
function refsText(nodes: readonly NodeRef[]): string {
  if (nodes.length <= 2) return nodes.map(({ name, op }) => `${name} (${op})`).join(' and ');
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  const ops = [...counts].sort(([, x], [, y]) => y - x).map(([op, count]) => `${op} ${count}`);
  return `${plural(nodes.length, 'node')} (${listNames(ops)}) from ${nodes[0]?.name} to ${nodes.at(-1)?.name}`;
}

function readersText(readers: readonly Reader[]): string {
  return listNames(
    readers.map(({ node, input }) =>
      input === 'output' ? `the output ${namesText(node)}` : `${namesText(node)} (${input})`,
    ),
  );
}

function weightText(difference: WeightDifference): string {
  const { tensor, change, from, to, error, factors, axis, bits, values } = difference;
  const along = `${bits === undefined ? '' : ` to ${bits} bits`}${axis === undefined ? '' : ` along axis ${axis}`}`;
  const type = from === to ? from : `${from} -> ${to}`;
  const told = values && `{${values.a.map(number).join(', ')}} -> {${values.b.map(number).join(', ')}}`;
  const by = factors && ` by ${[...new Set(factors.map(number))].join(' to ')}`;
  const parts = [`${namesText(tensor)} ${type}: ${change}${by ?? ''}${along}`];
  if (told !== undefined) parts.push(told);
  else if (error !== null && change !== 'zeroed') parts.push(errorText(error));
  return parts.join(', ');
}

/** Numbers of a comparison, with units. */
function errorText({ maxAbs, relative, sqnrDb, changed, elements }: ValueError): string {
  const parts = [
    `${changed} of ${elements} differ`,
    maxAbs === null ? 'not all finite' : `max error ${number(maxAbs)}`,
  ];
  if (relative !== null) parts.push(`${percent(relative)} of the largest`);
  if (sqnrDb !== null) parts.push(`SQNR ${sqnrDb.toFixed(1)} dB`);
  return parts.join(', ');
}

function movedText({ change, between, tensors }: MovedDifference): string {
  const what = change === 'moved' ? 'have changed places' : "have one another's values";
  const names = between.length > 0 ? between : tensors.map(({ tensor }) => tensor);
  return `${listNames(names)} ${what}, ${plural(tensors.length, 'tensor')}`;
}

function quantText({ value, change, of, from, to, error, differing }: QuantDifference): string {
  const what = `${namesText(value)} (${of}): ${change.replace('-', ' ')}`;
  if (differing) return `${what}, ${differing.count} of ${differing.of} differ`;
  return `${what} ${from} -> ${to}${error === null ? '' : `, ${noiseText(error)}`}`;
}

function noiseText({ maxAbs, sqnrDb }: ValueError): string {
  if (maxAbs === 0) return 'the same values';
  return sqnrDb === null ? `max error ${number(maxAbs)}` : `SQNR ${sqnrDb.toFixed(1)} dB`;
}

function numericText({ output, maxAbsError, limit, sqnrDb, agreement, choices }: NumericDifference): string {
  const parts = [`output ${namesText(output)}: max error ${number(maxAbsError)}, limit ${number(limit)}`];
  if (sqnrDb !== null) parts.push(`SQNR ${sqnrDb.toFixed(1)} dB`);
  if (agreement !== null) parts.push(`${choicesName({ choices })} ${percent(agreement)}`);
  return parts.join(', ');
}

/** Name in a, and the one in b where that is another. */
export function namesText({ a, b }: Names): string {
  return a === b ? a : `${a} (in b ${b})`;
}

function attrText(value: AttrValue): string {
  if (value === null) return 'none';
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

function shown(text: string | null): string {
  return text ?? 'none';
}

/** A number in four digits, which tell apart what tables compare; small ones as 2.146e-6. */
export function number(value: number | null): string {
  if (value === null) return 'not a number';
  const isSmall = value !== 0 && Math.abs(value) < 1e-3;
  return isSmall ? value.toExponential(3).replace(/\.?0+e/, 'e') : String(Number(value.toPrecision(4)));
}

export function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '-' : '+'}${size(Math.abs(bytes))}`;
}
