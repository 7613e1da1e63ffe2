import type { Difference } from '../diff/difference.ts';
import { namesText } from './diff-words.ts';

/** Differences that are the same in other places: the first is told whole, the others by their places. */
interface DifferenceGroup {
  readonly first: Difference;
  /** Places of the others. */
  readonly others: readonly string[];
}

/** Groups differences that are alike, in the order of the first of each. */
export function groupDifferences(differences: readonly Difference[]): DifferenceGroup[] {
  const groups = new Map<string, { readonly first: Difference; readonly others: string[] }>();
  for (const difference of differences) {
    const key = likeness(difference);
    const group = groups.get(key);
    if (group) group.others.push(placeOf(difference));
    else groups.set(key, { first: difference, others: [] });
  }
  return [...groups.values()];
}

/** Key of changes that are the same in different places. What has numbers of its own is a group of its own. */
function likeness(difference: Difference): string {
  switch (difference.change) {
    case 'attributes':
      return `${difference.op} ${JSON.stringify(difference.attributes)}`;
    case 'added':
    case 'removed':
    case 'replaced':
      return `${difference.change} ${difference.a.map(({ op }) => op)} ${difference.b.map(({ op }) => op)}`;
    case 'rounded':
    case 'unrounded':
      return `${difference.change} ${difference.bits}`;
    case 'dtype':
      return `dtype ${[difference.from, difference.to].map(dtypeOf)}`;
    case 'scheme':
    case 'granularity':
    case 'storage':
      return `${difference.change} ${difference.of} ${[difference.from, difference.to].map(storageOf)}`;
    case 'scales':
    case 'zero-points':
      return `${difference.change} ${difference.of}`;
    case 'rewired': {
      const [reader] = difference.readers;
      return `rewired ${reader?.input} ${reader?.from === null} ${reader?.to === null}`;
    }
    default:
      return JSON.stringify(difference);
  }
}

/** Dtype of a type in words: `f16` of `f16[512, 128]`. */
function dtypeOf(type: string): string {
  return type.replace(/\[.*$/, '');
}

/** Storage without its numbers: `i8 per channel 0` of `i8 per channel 0, 512 scales 0.0012…0.034`. */
function storageOf(storage: string): string {
  return storage.replace(/,.*$/, '');
}

function placeOf(difference: Difference): string {
  if ('node' in difference) return namesText(difference.node);
  if ('tensor' in difference) return namesText(difference.tensor);
  if ('value' in difference) return namesText(difference.value);
  if (difference.change === 'added' || difference.change === 'removed' || difference.change === 'replaced') {
    return (difference.a[0] ?? difference.b[0])?.name ?? '';
  }
  return difference.change === 'rewired' && difference.readers[0] ? namesText(difference.readers[0].node) : '';
}
