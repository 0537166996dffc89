import { zip } from '../../formats/zip_bytes.js';
import type { Seed } from './seeds.js';

/** A generator of numbers from a seed (mulberry32): a failure is repeated by its number. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Random = (below: number) => number;
type Change = (bytes: Buffer, pick: Random) => Buffer;

const interesting = [0, 1, 2, 7, 8, 64, 127, 128, 255, 256, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const wide = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 2n];

const flip: Change = (bytes, pick) => {
  for (let i = 1 + pick(4); i > 0; i--) bytes[pick(bytes.length)]! ^= 1 << pick(8);
  return bytes;
};
const cut: Change = (bytes, pick) => bytes.subarray(0, pick(bytes.length));
const set: Change = (bytes, pick) => {
  bytes[pick(bytes.length)] = interesting[pick(9)]! & 255;
  return bytes;
};
const remove: Change = (bytes, pick) => {
  const at = pick(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + pick(16))]);
};
const repeat: Change = (bytes, pick) => {
  const [at, size] = [pick(bytes.length), 1 + pick(64)];
  return Buffer.concat([bytes.subarray(0, at + size), bytes.subarray(at)]);
};
/** A field of 2, 4 or 8 bytes becomes a number at an edge. */
const edge: Change = (bytes, pick) => {
  const size = [2, 4, 8][pick(3)]!;
  if (bytes.length < 9) return bytes;
  const at = pick(bytes.length - 8) & ~(size - 1);
  if (size === 8) bytes.writeBigUInt64LE(wide[pick(wide.length)]!, at);
  else if (size === 4) bytes.writeUInt32LE(interesting[pick(interesting.length)]!, at);
  else bytes.writeUInt16LE(interesting[pick(11)]!, at);
  return bytes;
};
/** Two fields of 8 bytes change places: lengths and addresses that exist, but elsewhere. */
const swap: Change = (bytes, pick) => {
  if (bytes.length < 32) return bytes;
  const place = (): number => pick((bytes.length >> 3) - 1) * 8;
  const [a, b] = [place(), place()];
  const kept = Buffer.from(bytes.subarray(a, a + 8));
  bytes.copy(bytes, a, b, b + 8);
  kept.copy(bytes, b);
  return bytes;
};
/** A field near a signature changes: headers rather than numbers. */
const structure =
  (...signatures: string[]): Change =>
  (bytes, pick) => {
    const places: number[] = [];
    for (const signature of signatures)
      for (let at = bytes.indexOf(signature, 0, 'latin1'); at >= 0; at = bytes.indexOf(signature, at + 1, 'latin1'))
        places.push(at);
    if (places.length === 0) return flip(bytes, pick);
    const at = places[pick(places.length)]! + pick(48);
    if (at + 8 > bytes.length) return flip(bytes, pick);
    const kind = pick(3);
    if (kind === 0) bytes[at] = interesting[pick(interesting.length)]! & 255;
    else if (kind === 1) bytes.writeUInt32LE(interesting[pick(interesting.length)]!, at);
    // An address of another structure: circles and overlaps.
    else bytes.writeBigUInt64LE(BigInt(places[pick(places.length)]!), at & ~7);
    return bytes;
  };
const hdf5 = structure('TREE', 'HEAP', 'SNOD', 'GCOL', '\x89HDF', '\x01\x00\x05\x00', '\x01\x00\x01\x00\x01');
const headers = structure('PK\x01\x02', 'PK\x03\x04', 'PK\x05\x06');

/** A number, text or word of the JSON becomes another. */
const json: Change = (bytes, pick) => {
  const text = bytes.toString('utf8');
  const values = [...text.matchAll(/-?\d+(\.\d+)?|"[^"]*"|true|false|null/g)];
  const found = values[pick(values.length)]!;
  const others = [
    ...['-1', '0', '1e9', '1e308', '0.5', '2147483648', 'null', 'true', '[]', '{}', '[[[]]]', '""', '"__proto__"'],
    ...['"Lambda"', '"dense"', '"keras.layers"', '{"class_name": "Dense", "config": {}}'],
    values[pick(values.length)]![0],
  ];
  const other = others[pick(others.length)]!;
  return Buffer.from(text.slice(0, found.index) + other + text.slice(found.index + found[0].length));
};

const plain = [flip, cut, set, remove, repeat, edge, swap];

/** The n-th changed file: always the same for a number. */
export function mutate(seeds: readonly Seed[], number: number): { name: string; content: Buffer } {
  const pick = random(number * 2_654_435_761);
  const { name, content, members } = seeds[pick(seeds.length)]!;
  const change = (bytes: Uint8Array, ...changes: Change[]): Buffer => {
    let result: Buffer = Buffer.from(bytes);
    for (let i = 1 + pick(3); i > 0 && result.length > 0; i--) result = changes[pick(changes.length)]!(result, pick);
    return result;
  };
  if (!members) {
    const own = name.endsWith('.h5') ? [...plain, hdf5, hdf5, hdf5] : plain;
    return { name, content: change(content, ...own) };
  }
  const where = pick(3);
  if (where === 0) return { name, content: change(content, ...plain, headers, headers, headers) };
  // Inside a member, with checksums that fit: what an attacker would do.
  const inside = where === 1 ? 'config.json' : 'model.weights.h5';
  const changes = where === 1 ? [json, json, json, json, flip, remove] : [...plain, hdf5, hdf5, hdf5, hdf5];
  const entries = [...members].map(([member, data]) => ({
    name: member,
    data: member === inside ? change(data, ...changes) : data,
  }));
  return { name, content: zip(entries) };
}
