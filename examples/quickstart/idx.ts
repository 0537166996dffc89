import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Images, SIZE } from './digits.js';

/** Reads an IDX file of unsigned bytes, gzipped or not. */
async function readIdx(folder: string, name: string): Promise<{ shape: number[]; data: Buffer }> {
  const path = [join(folder, name), join(folder, `${name}.gz`)].find(existsSync);
  if (!path)
    throw new Error(`${folder} holds neither ${name} nor ${name}.gz: --data takes a folder with the four MNIST files.`);
  const raw = await readFile(path);
  const bytes = path.endsWith('.gz') ? gunzipSync(raw) : raw;
  const rank = bytes[3] ?? 0;
  if (bytes.length < 4 + 4 * rank || bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8)
    throw new Error(`${path} is not an IDX file of unsigned bytes.`);
  const shape = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const data = bytes.subarray(4 + 4 * rank);
  const count = shape.reduce((a, b) => a * b, 1);
  if (data.length !== count) throw new Error(`${path} announces ${count} bytes of data and has ${data.length}.`);
  return { shape, data };
}

/** A pair of MNIST files: `prefix` is "train" or "t10k". */
export async function readMnist(folder: string, prefix: 'train' | 't10k'): Promise<Images> {
  const [images, labels] = await Promise.all([
    readIdx(folder, `${prefix}-images-idx3-ubyte`),
    readIdx(folder, `${prefix}-labels-idx1-ubyte`),
  ]);
  const [count = 0, rows, columns] = images.shape;
  if (rows !== SIZE || columns !== SIZE || labels.shape[0] !== count) {
    throw new Error(
      `${folder}: expected ${SIZE} x ${SIZE} images and as many labels, got [${images.shape}] and [${labels.shape}].`,
    );
  }
  return { pixels: Float32Array.from(images.data, (byte) => byte / 255), labels: Int32Array.from(labels.data), count };
}
