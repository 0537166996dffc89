// Philox 4x32-10 by the paper, in BigInt: which random word belongs to which element of which global row.

export interface Seed {
  key0: number;
  key1: number;
  draw: number;
}

const mask = 0xffffffffn;

function block(counter: bigint[], key0: bigint, key1: bigint): bigint[] {
  let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
  let [k0, k1] = [key0, key1];
  for (let round = 0; round < 10; ++round) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [c0, c1, c2, c3];
}

/** 32 elements share 8 blocks: element e takes word (e / 8) mod 4 of block e / 32 * 8 + e mod 8. */
export function wordOf({ key0, key1, draw }: Seed, row: number, element: number): number {
  const index = Math.floor(element / 32) * 8 + (element % 8);
  const words = block([BigInt(index), BigInt(row), 0n, BigInt(draw)], BigInt(key0), BigInt(key1));
  return Number(words[Math.floor(element / 8) % 4]);
}
