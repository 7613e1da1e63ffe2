import { storedZip } from '../../src/formats/zip-stored.ts';
import { pack } from './memory-file.ts';
import { global, type Picklable, pickle } from './pickler.ts';

/** A storage of torch by its class, key and number of elements. */
export function storage(type: string, key: string, length: number, ...part: readonly Picklable[]): Picklable {
  return { persistent: ['storage', global(`torch.${type}`), key, 'cpu', length, ...part] };
}

/** A tensor over a storage. */
export function tensor(of: Picklable, offset: number, shape: readonly number[], strides: readonly number[]): Picklable {
  const args = [of, offset, shape, strides, false, { call: global('collections.OrderedDict'), args: [] }];
  return { call: global('torch._utils._rebuild_tensor_v2'), args };
}

/** What torch.save writes since 1.6. */
export function torchZip(
  root: Picklable,
  storages: Readonly<Record<string, Uint8Array>>,
  order = 'little',
): Uint8Array {
  return storedZip(
    [
      { name: 'archive/data.pkl', bytes: pickle(root) },
      { name: 'archive/byteorder', bytes: pack(order) },
      ...Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, bytes })),
    ],
    0,
  );
}

/** What torch.save wrote before 1.6: each storage with its number of elements. */
export function torchLegacy(
  root: Picklable,
  storages: readonly (readonly [key: string, length: number, bytes: Uint8Array])[],
  machine: ReadonlyMap<string, Picklable> = new Map([['little_endian', true]]),
): Uint8Array {
  return pack(
    pickle(Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex')),
    pickle(1001),
    pickle(machine),
    pickle(root),
    pickle(storages.map(([key]) => key)),
    ...storages.flatMap(([, length, bytes]) => [pack([8, length]), bytes]),
  );
}
