import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as H5wasm from 'h5wasm/node' with { 'resolution-mode': 'import' };
import { beforeAll, describe, expect, test } from 'vitest';
import { openHdf5, planHdf5, type WrittenDataset, type WrittenGroup } from '../../lib/formats/hdf5/index.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-'));
let files = 0;
let h5wasm: typeof H5wasm;
beforeAll(async () => {
  h5wasm = await import('h5wasm/node');
  await h5wasm.ready;
});

const group = (members: Record<string, WrittenGroup | WrittenDataset> = {}, attributes = {}): WrittenGroup => ({
  members: new Map(Object.entries(members)),
  attributes,
});
const array = (
  kind: WrittenDataset['kind'],
  shape: number[],
  values: ReturnType<WrittenDataset['read']>,
): WrittenDataset => ({ kind, shape, read: () => values });

async function bytesOf(root: WrittenGroup): Promise<Uint8Array> {
  const plan = planHdf5(root);
  const parts: Uint8Array[] = [];
  for await (const piece of plan.pieces()) parts.push(Uint8Array.from(piece));
  const content = Buffer.concat(parts);
  expect(content.length).toBe(plan.size);
  return new Uint8Array(content);
}

async function write(root: WrittenGroup): Promise<string> {
  const path = join(folder, `${files++}.h5`);
  writeFileSync(path, await bytesOf(root));
  return path;
}

const example = (): WrittenGroup =>
  group(
    {
      floats: array('float32', [2, 3], Float32Array.of(1.5, -2, 3e-8, Number.NaN, Number.POSITIVE_INFINITY, -0)),
      count: array('int64', [], Int32Array.of(-7)),
      wide: array('int64', [3], Int32Array.of(1, -1, 2 ** 31 - 1)),
      whole: array('int32', [2], Int32Array.of(-5, 6)),
      seeds: array('uint32', [2], Uint32Array.of(1, 2 ** 32 - 1)),
      bytes: array('uint8', [3], Uint8Array.of(0, 128, 255)),
      flags: array('bool', [2], Uint8Array.of(0, 1)),
      words: { kind: 'string', shape: [2], read: () => ['one', 'dé'], textBytes: 7 },
      empty: array('float32', [0, 4], new Float32Array(0)),
      scalar: array('float32', [], Float32Array.of(0.25)),
      layers: group({ dense: group({ vars: group({}, { name: 'dénse' }) }) }),
    },
    { name: 'root', sizes: [1, -2], list: ['a', 'bcd'], nothing: '' },
  );

describe('HDF5 files that are written', () => {
  test('are read by the HDF5 library', async () => {
    const file = new h5wasm.File(await write(example()), 'r');
    const value = (name: string): unknown => (file.get(name) as H5wasm.Dataset).value;
    expect(value('floats')).toEqual(Float32Array.of(1.5, -2, 3e-8, Number.NaN, Number.POSITIVE_INFINITY, -0));
    expect((file.get('floats') as H5wasm.Dataset).shape).toEqual([2, 3]);
    expect(value('count')).toBe(-7n);
    expect(value('wide')).toEqual(BigInt64Array.of(1n, -1n, 2n ** 31n - 1n));
    expect(value('whole')).toEqual(Int32Array.of(-5, 6));
    expect(value('seeds')).toEqual(Uint32Array.of(1, 2 ** 32 - 1));
    expect(value('bytes')).toEqual(Uint8Array.of(0, 128, 255));
    expect(value('flags')).toEqual(Int8Array.of(0, 1)); // h5wasm gives enumerations as their numbers
    expect(value('words')).toEqual(['one', 'dé']);
    expect((file.get('empty') as H5wasm.Dataset).shape).toEqual([0, 4]);
    expect((file.get('scalar') as H5wasm.Dataset).shape).toEqual([]);
    expect(value('scalar')).toBe(0.25);
    expect((file.get('layers/dense/vars') as H5wasm.Group).attrs.name!.value).toBe('dénse');
    expect(file.attrs.sizes!.value).toEqual(BigInt64Array.of(1n, -2n));
    expect(file.attrs.list!.value).toEqual(['a', 'bcd']);
    expect(file.attrs.nothing!.value).toBe('');
    file.close();
  });

  test('are read by our reader, and the numbers are bit-equal', async () => {
    const root = openHdf5(await bytesOf(example()), 'test.h5');
    expect(root.names().sort()).toEqual([...example().members.keys()].sort());
    for (const name of ['floats', 'count', 'wide', 'whole', 'seeds', 'bytes', 'flags', 'empty', 'scalar']) {
      const written = example().members.get(name) as WrittenDataset;
      const { data } = await root.dataset(name)!.read();
      expect([...data], name).toEqual([...((await written.read()) as Float32Array)]);
      expect(root.dataset(name)!.shape).toEqual(written.shape);
    }
    expect(await root.dataset('words')!.readStrings()).toEqual(['one', 'dé']);
    expect(root.attributes.get('name')).toBe('root');
  });

  test('bfloat16 takes two bytes, as a float that HDF5 knows', async () => {
    const numbers = Float32Array.of(1.5, -2, 2 ** -126, 1.0078125, Number.POSITIVE_INFINITY, -0, 3.3895313892515355e38);
    const root = group({ halves: array('bfloat16', [7], numbers) });
    const halves = openHdf5(await bytesOf(root), 'test.h5').dataset('halves')!;
    expect([halves.kind, halves.byteLength]).toEqual(['bfloat16', 14]);
    expect([...(await halves.read()).data]).toEqual([...numbers]);
    const file = new h5wasm.File(await write(root), 'r');
    const { size, type } = (file.get('halves') as H5wasm.Dataset).metadata;
    expect([size, type]).toEqual([2, 1]); // 1: floats
    file.close();
  });

  test.each([1, 8, 9, 256, 257, 3000])('a group of %i members is found by name in both libraries', async (count) => {
    const members = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [String(i), array('float32', [1], Float32Array.of(i))]),
    );
    const path = await write(group({ vars: group(members) }));
    const file = new h5wasm.File(path, 'r');
    expect((file.get('vars') as H5wasm.Group).keys().length).toBe(count);
    for (const i of [0, 1, count >> 1, count - 1])
      if (i < count) expect((file.get(`vars/${i}`) as H5wasm.Dataset).value).toEqual(Float32Array.of(i));
    file.close();
    const root = openHdf5(await bytesOf(group({ vars: group(members) })), 'test.h5');
    expect(root.group('vars')!.names().length).toBe(count);
    expect([...(await root.dataset(`vars/${count - 1}`)!.read()).data]).toEqual([count - 1]);
  });

  test('an attribute that is too large is refused by name', async () => {
    expect(() => planHdf5(group({ vars: group({}, { names: 'x'.repeat(70_000) }) }))).toThrow(
      /attribute "names" of "vars" has \d+ bytes/,
    );
    expect(() => planHdf5(group({}, { rate: 0.5 }))).toThrow(/attribute "rate"/);
  });

  const python = process.env.CHAINRULE_KERAS_PYTHON ?? 'python3';
  const h5py = spawnSync(python, ['-c', 'import h5py']).status === 0;
  test.skipIf(!h5py)('are read by h5py (skipped without a Python that has it)', async () => {
    const script = `
import h5py, json, sys
f = h5py.File(sys.argv[1], 'r')
print(json.dumps({'count': int(f['count'][()]), 'flags': f['flags'][()].tolist(), 'dtype': str(f['count'].dtype),
  'words': [w.decode() for w in f['words'][()]], 'whole': f['whole'][()].tolist(), 'name': f['layers/dense/vars'].attrs['name'].decode()}))`;
    const output = execFileSync(python, ['-c', script, await write(example())], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({
      count: -7,
      flags: [false, true],
      dtype: 'int64',
      words: ['one', 'dé'],
      whole: [-5, 6],
      name: 'dénse',
    });
  });
});
