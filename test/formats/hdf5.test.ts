import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as H5wasm from 'h5wasm/node' with { 'resolution-mode': 'import' };
import { beforeAll, describe, expect, test } from 'vitest';
import { fletcher32, lookup3 } from '../../lib/formats/hdf5/checksum.js';
import { Hdf5Group, openHdf5 } from '../../lib/formats/hdf5/index.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-'));
let files = 0;

let h5wasm: typeof H5wasm;
beforeAll(async () => {
  h5wasm = await import('h5wasm/node');
  await h5wasm.ready;
});

/** A file written by the HDF5 library. */
function written(describeFile: (file: H5wasm.File) => void): Uint8Array {
  const path = join(folder, `${files++}.h5`);
  const file = new h5wasm.File(path, 'w');
  describeFile(file);
  file.close();
  return new Uint8Array(readFileSync(path));
}

const open = (content: Uint8Array): Hdf5Group => openHdf5(content, 'test.h5');
const numbers = async (group: Hdf5Group, path: string): Promise<number[]> => [
  ...(await group.dataset(path)!.read()).data,
];
const sequence = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.fround(i / 7 - 3));

describe('what the HDF5 library writes is read', () => {
  test('groups, paths and names', () => {
    const root = open(
      written((file) => {
        file.create_group('layers').create_group('dense').create_group('vars');
        file.create_group('vars');
      }),
    );
    expect(root.names()).toEqual(['layers', 'vars']);
    expect(root.group('layers/dense/vars')?.path).toBe('layers/dense/vars');
    expect(root.get('layers/conv')).toBeUndefined();
    expect(root.get('vars/0/1')).toBeUndefined();
  });

  test.each([
    ['<f4', [1.5, -2, 0], 'float32'],
    ['<d', [1.5, -2, 1e-3], 'float32'],
    ['<b', [-128, 0, 127], 'int8'],
    ['<h', [-32768, 0, 32767], 'int32'],
    ['<i', [-(2 ** 31), 0, 2 ** 31 - 1], 'int32'],
    ['<B', [0, 1, 255], 'uint8'],
    ['<H', [0, 1, 65535], 'int32'],
    ['<I', [0, 1, 2 ** 32 - 1], 'uint32'],
  ])('numbers of type %s', async (dtype, values, expected) => {
    const root = open(written((file) => file.create_dataset({ name: 'x', data: values, shape: [3], dtype })));
    const { data, dtype: read } = await root.dataset('x')!.read();
    expect(read).toBe(expected);
    expect([...data]).toEqual(values.map((value) => (expected === 'float32' ? Math.fround(value) : value)));
  });

  test('a 64-bit scalar, and one that does not fit', async () => {
    const make = (value: bigint): Hdf5Group =>
      open(
        written((file) => file.create_dataset({ name: 'x', data: BigInt64Array.of(value), shape: [], dtype: '<q' })),
      );
    const small = make(-5n).dataset('x')!;
    expect(small.shape).toEqual([]);
    expect([...(await small.read()).data]).toEqual([-5]);
    await expect(
      make(2n ** 40n)
        .dataset('x')!
        .read(),
    ).rejects.toThrow(/"x" holds 1099511627776/);
  });

  test.each([
    ['deflated', [100, 37], [16, 10], 4],
    ['one chunk', [5, 6], [5, 6], 9],
    ['one axis', [1000], [64], 1],
    ['three axes', [7, 9, 5], [3, 4, 2], 6],
  ])('chunks: %s', async (_, shape, chunks, level) => {
    const data = sequence(shape.reduce((a, b) => a * b));
    const content = written((file) =>
      file.create_dataset({
        name: 'x',
        data,
        shape,
        dtype: '<f4',
        chunks,
        compression: 'gzip',
        compression_opts: [level],
      }),
    );
    expect(await numbers(open(content), 'x')).toEqual([...data]);
  });

  test('attributes: texts of fixed and variable length, lists and numbers', () => {
    const root = open(
      written((file) => {
        file.create_attribute('name', 'dénse');
        file.create_attribute('fixed', 'abc', [], 'S5');
        file.create_attribute('list', ['a', 'bcd', ''], [3]);
        file.create_attribute('count', 7, [], '<i');
        file.create_attribute('rates', new Float32Array([0.5, 2]), [2], '<f4');
      }),
    );
    expect(Object.fromEntries(root.attributes)).toEqual({
      name: 'dénse',
      fixed: 'abc',
      list: ['a', 'bcd', ''],
      count: 7,
      rates: [0.5, 2],
    });
  });

  test('a dataset of texts', async () => {
    const root = open(written((file) => file.create_dataset({ name: 'x', data: ['one', '', 'three'], shape: [3] })));
    expect(await root.dataset('x')!.readStrings()).toEqual(['one', '', 'three']);
    await expect(root.dataset('x')!.read()).rejects.toThrow(/texts where numbers are expected/);
  });

  test('an empty array', async () => {
    const root = open(
      written((file) => file.create_dataset({ name: 'x', data: new Float32Array(0), shape: [0, 3], dtype: '<f4' })),
    );
    expect(root.dataset('x')!.shape).toEqual([0, 3]);
    expect(await numbers(root, 'x')).toEqual([]);
  });
});

describe('what Keras does not write is refused by name', () => {
  const refusal = (describeFile: (file: H5wasm.File) => void, look: (root: Hdf5Group) => unknown): unknown => {
    try {
      return look(open(written(describeFile)));
    } catch (error) {
      return error;
    }
  };

  test('soft and external links', () => {
    expect(
      refusal(
        (file) => {
          file.create_group('real');
          file.create_soft_link('/real', 'alias');
        },
        (root) => root.names(),
      ),
    ).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT', message: expect.stringContaining('soft link "alias"') });
    expect(
      refusal(
        (file) => file.create_external_link('/etc/passwd', '/x', 'out'),
        (root) => root.names(),
      ),
    ).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT', message: expect.stringContaining('link "out"') });
  });

  test('a large group of a new-style file', () => {
    expect(
      refusal(
        (file) => Array.from({ length: 9 }, (_, i) => file.create_group(`g${i}`)),
        (root) => root.names(),
      ),
    ).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT', message: expect.stringContaining('fractal heap') });
  });

  test('one object with two names', () => {
    expect(
      refusal(
        (file) => {
          file.create_group('a');
          file.create_hard_link('/a', 'b');
        },
        (root) => [root.get('a'), root.get('b')],
      ),
    ).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT', message: expect.stringContaining('two paths ("a" and "b")') });
  });

  test('a group that holds itself', () => {
    expect(
      refusal(
        (file) => {
          file.create_group('a');
          file.get('a') && file.create_hard_link('/', 'root');
        },
        (root) => root.get('root'),
      ),
    ).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT', message: expect.stringContaining('two paths') });
  });
});

describe('files that are not whole', () => {
  const whole = (): Uint8Array =>
    written((file) => {
      const vars = file.create_group('layers').create_group('dense').create_group('vars');
      vars.create_attribute('name', 'dense');
      vars.create_dataset({ name: '0', data: sequence(60), shape: [6, 10], dtype: '<f4' });
      vars.create_dataset({ name: '1', data: sequence(400), shape: [20, 20], chunks: [8, 8], compression: 'gzip' });
    });

  /** Looks at everything. */
  async function readAll(group: Hdf5Group): Promise<void> {
    void group.attributes;
    for (const name of group.names()) {
      const inner = group.get(name)!;
      if (inner instanceof Hdf5Group) await readAll(inner);
      else {
        void inner.attributes;
        await inner.read();
      }
    }
  }

  test('cut anywhere: an error with a code, never a wrong number', async () => {
    const content = whole();
    await readAll(open(content));
    for (let length = 0; length < content.length; length += length < 2200 ? 1 : 7) {
      const error = await (async () => readAll(open(content.slice(0, length))))().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error, `cut at ${length}`).toMatchObject({ code: 'ERR_CHAINRULE_FORMAT' });
    }
  });

  test('not HDF5 at all', () => {
    for (const content of [new Uint8Array(0), new Uint8Array(3), Buffer.from('PK\x03\x04 no HDF5 file at all')])
      expect(() => open(content)).toThrow(/test\.h5: it does not begin with the HDF5 signature/);
  });
});

test('checksums are those of the HDF5 library', () => {
  // Values of Bob Jenkins' own driver5(), and a sum computed by hand.
  const text = Buffer.from('Four score and seven years ago');
  expect(lookup3(text, 0)).toBe(0x17770551);
  expect(lookup3(text, 1)).toBe(0xcd628161);
  expect(lookup3(new Uint8Array(0), 0)).toBe(0xdeadbeef);
  expect(fletcher32(Uint8Array.of(1, 2, 3, 4))).toBe(((0x0102 + 0x0102 + 0x0304) << 16) | (0x0102 + 0x0304));
});
