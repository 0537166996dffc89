import { createHash } from 'node:crypto';
import { cases } from './cases.js';
import { nameOf, runAll } from './run.js';

/** A hash per row over all its results, forward and backward, bit for bit. */
export async function digestAll(): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const row of cases) {
    const hash = createHash('sha256');
    for (const { data } of await runAll(row)) {
      // NaN is NaN: its sign and payload hang on the order in which a compiler writes the operands of an addition.
      const plain =
        data instanceof Float32Array ? data.map((value) => (Number.isNaN(value) ? Number.NaN : value)) : data;
      hash.update(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
    }
    digests[nameOf(row)] = hash.digest('hex').slice(0, 16);
  }
  return digests;
}

/** Names of the rows whose bits differ. */
export const differing = (a: Record<string, string>, b: Record<string, string>): string[] =>
  Object.keys(a).filter((name) => a[name] !== b[name]);
