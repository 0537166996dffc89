import { describe, expect, test } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../lib/formats/safetensors.js';
import { type AnyArray, NDArray } from '../../lib/ndarray.js';

const file = (header: string | object, data = new Uint8Array(0)): Buffer => {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
};
const one = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };

test('what is written is read, data aligned to 64 bytes', () => {
  const tensors = new Map<string, AnyArray>([
    ['a', new NDArray(Float32Array.of(1.5, Number.NaN, -0), [3])],
    ['empty', new NDArray(new Float32Array(0), [0, 4])],
    ['__proto__', new NDArray(Int32Array.of(7), [])],
    ['mask', new NDArray(Uint8Array.of(1, 0), [2], 'bool')],
  ]);
  const bytes = writeSafetensors({ tensors, metadata: new Map([['format', 'test']]) });
  expect((8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))) % 64).toBe(0);
  const read = readSafetensors(bytes);
  expect([...read.tensors.keys()]).toEqual([...tensors.keys()]);
  for (const [name, array] of tensors) expect(read.tensors.get(name)).toEqual(array);
  expect(read.metadata.get('format')).toBe('test');
});

describe('refused as ERR_CHAINRULE_FORMAT', () => {
  const eight = new Uint8Array(8);
  const cases: Record<string, Uint8Array> = {
    'seven bytes': new Uint8Array(7),
    'a huge header': Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]), eight]),
    'a header beyond the end': Buffer.concat([Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
    'a list': file('[]'),
    'broken JSON': file('{"a":'),
    'bad UTF-8': Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0x7b, 0xff, 0x7d])]),
    'the same name twice': file(`{"a":${JSON.stringify(one)},"a":${JSON.stringify(one)}}`, eight),
    'the same key twice inside': file('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', eight),
    'a hole': file({ a: { ...one, data_offsets: [4, 12] } }, new Uint8Array(12)),
    'an overlap': file({ a: one, b: { ...one, data_offsets: [4, 12] } }, new Uint8Array(12)),
    'offsets backwards': file({ a: { ...one, data_offsets: [8, 0] } }, eight),
    'a shape that does not fill': file({ a: { ...one, shape: [3] } }, eight),
    'a negative dimension': file({ a: { ...one, shape: [-2] } }, eight),
    'a dimension of 2^53': file({ a: { ...one, shape: [2 ** 53, 2] } }, eight),
    'an unknown dtype': file({ a: { ...one, dtype: 'F33' } }, eight),
    'a dtype that is not supported': file({ a: { ...one, dtype: 'F16', shape: [4] } }, eight),
    'truncated data': file({ a: one }, new Uint8Array(7)),
    'trailing bytes': file({ a: one }, new Uint8Array(9)),
    'metadata of numbers': file({ __metadata__: { a: 1 }, a: one }, eight),
    'no dtype': file({ a: { shape: [2], data_offsets: [0, 8] } }, eight),
  };
  test.each(Object.keys(cases))('%s', (name) => {
    expect(() => readSafetensors(cases[name]!)).toThrow(expect.objectContaining({ code: 'ERR_CHAINRULE_FORMAT' }));
  });
});
