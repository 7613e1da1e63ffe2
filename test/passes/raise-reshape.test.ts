import { describe, expect, test } from 'vitest';
import { raiseReshape } from '../../src/passes/raise/reshape.ts';
import { after } from '../core.ts';
import { keepingValues } from './values.ts';

/** The lines between the graph's head and its outputs. */
async function raised(inputs: string, ...lines: readonly string[]): Promise<string[]> {
  const last = lines.at(-1)?.split(' = ')[0] ?? '';
  const { text } = await keepingValues(raiseReshape, `graph g (${inputs})\n${lines.join('\n')}\nreturn y: ${last}`);
  return text
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim().split('  ')[0] as string);
}

/** The same, where nothing may change. */
async function expectLeft(inputs: string, ...lines: readonly string[]): Promise<void> {
  const last = lines.at(-1)?.split(' = ')[0] ?? '';
  const text = `graph g (${inputs})\n${lines.join('\n')}\nreturn y: ${last}`;
  expect(await after(raiseReshape, text)).toBe(await after([], text));
}

describe('a number for each channel', () => {
  const channels = 'c f32[4] {1, 2, 3, 4}';

  test('goes in front of a reshape that keeps channels', async () => {
    const lines = ['r = reshape(x) {shape: [6, 4]}', `s = add(r, ${channels})`, 'y = reshape(s) {shape: [2, 3, 4]}'];
    expect(await raised('x: f32[2, 3, 4]', ...lines)).toEqual([`s = add(x, ${channels})`]);
  });

  test.each([
    ['groups them anew', 'reshape(x) {shape: [8, 3]}', 'c f32[3] {1, 2, 3}'],
    ['stands each by itself', 'reshape(x) {shape: [24, 1]}', channels],
  ])('stays behind one that %s', (_, reshape, constant) =>
    expectLeft('x: f32[2, 3, 4]', `r = ${reshape}`, `y = add(r, ${constant})`),
  );

  test('of a table stays: it differs between tokens', () =>
    expectLeft('x: f32[2, 3, 4]', 'r = reshape(x) {shape: [6, 4]}', 'y = add(r, c f32[6, 4] #1)'));
});

describe('two reshaped operands', () => {
  const sum = (second: string) => [
    'p = reshape(x) {shape: [6, 4]}',
    `q = reshape(z) {shape: ${second}}`,
    's = add(p, q)',
    'y = reshape(s) {shape: [2, 3, 4]}',
  ];

  test('meet where both were alike before', async () => {
    expect(await raised('x: f32[2, 3, 4], z: f32[2, 3, 4]', ...sum('[6, 4]'))).toEqual(['s = add(x, z)']);
  });

  test('do not where they had other shapes', () =>
    expectLeft('x: f32[2, 3, 4], z: f32[3, 2, 4]', ...sum('[6, 4]').slice(0, -1)));

  test('do not where one is repeated', () =>
    expectLeft('x: f32[2, 3, 4], z: f32[1, 1, 4]', ...sum('[1, 4]').slice(0, -1)));
});

test('what works on the last axis works on unflattened tokens', async () => {
  const lines = [
    'r = reshape(x) {shape: [6, 4]}',
    'l = linear(r, w f32[2, 4] #1)',
    'n = noNorm(l, g f32[2] {1, 2}, b f32[2] {3, 4})',
    'y = reshape(n) {shape: [2, 3, 2]}',
  ];
  expect(await raised('x: f32[2, 3, 4]', ...lines)).toEqual([
    'l = linear(x, w f32[2, 4] #1a6bc689)',
    'n = noNorm(l, g f32[2] {1, 2}, b f32[2] {3, 4})',
  ]);
});

test('a linear of regrouped channels stays where it is', () =>
  expectLeft('x: f32[2, 3, 4]', 'r = reshape(x) {shape: [2, 12]}', 'y = linear(r, w f32[2, 12] #1)'));

describe('a transpose', () => {
  test('that moves axes of size 1 only is a reshape', async () => {
    expect(await raised('x: f32[1, 3, 1, 4]', 'y = transpose(x) {permutation: [1, 2, 0, 3]}')).toEqual([
      'y = reshape(x) {shape: [3, 1, 1, 4]}',
    ]);
  });

  test('that moves another stays', () =>
    expectLeft('x: f32[1, 3, 2, 4]', 'y = transpose(x) {permutation: [0, 2, 1, 3]}'));

  test('is taken of the part that is read of it', async () => {
    const lines = ['t = transpose(x) {permutation: [1, 0, 2]}', 'y = slice(t) {axis: 0, start: 1, end: 3}'];
    expect(await raised('x: f32[2, 3, 4]', ...lines)).toEqual([
      'y.part = slice(x) {axis: 1, start: 1, end: 3}',
      'y = transpose(y.part) {permutation: [1, 0, 2]}',
    ]);
  });
});

describe('a look-up of reshaped ids', () => {
  test('takes ids as they were', async () => {
    const lines = [
      'r = reshape(ids) {shape: [6]}',
      'e = gather(table f32[4, 2] #1, r)',
      'y = reshape(e) {shape: [2, 3, 2]}',
    ];
    expect(await raised('ids: i32[2, 3]', ...lines)).toEqual(['e = gather(table f32[4, 2] #1a6bc689, ids)']);
  });

  test('along another axis stays', () =>
    expectLeft('ids: i32[2, 1]', 'r = reshape(ids) {shape: [2]}', 'y = gather(table f32[3, 4] #1, r) {axis: 1}'));
});

describe('a linear of lower rank that is added', () => {
  test('gets the axes of size 1 that broadcasting would put there', async () => {
    const lines = ['l = linear(x, w f32[4, 4] #1)', 'y = add(z, l)'];
    expect(await raised('x: f32[3, 4], z: f32[1, 3, 4]', ...lines)).toEqual([
      'l = linear(x, w f32[4, 4] #3735e202)',
      'l.shape = reshape(l) {shape: [1, 3, 4]}',
      'y = add(z, l.shape)',
    ]);
  });

  test('stays where it is repeated', () =>
    expectLeft('x: f32[3, 4], z: f32[2, 3, 4]', 'l = linear(x, w f32[4, 4] #1)', 'y = add(z, l)'));
});
