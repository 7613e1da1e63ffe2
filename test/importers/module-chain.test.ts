import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { moduleFolders } from '../../src/importers/module-chain.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

test.each(['', './', '../model/'])(
  'modules are found from the path of the weights, written as model/%s0_Transformer',
  (detour) => {
    const root = join(folder, 'model');
    mkdirSync(join(root, '0_Transformer'), { recursive: true });
    const modules = ['0_Transformer', '1_Pooling'].map((path, idx) => ({
      idx,
      name: `${idx}`,
      path,
      type: `sentence_transformers.models.${path.slice(2)}`,
    }));
    writeFileSync(join(root, 'modules.json'), JSON.stringify(modules));
    expect(moduleFolders(`${root}/${detour}0_Transformer/model.safetensors`)).toEqual({
      root,
      modules: ['0_Transformer', '1_Pooling'],
    });
  },
);
