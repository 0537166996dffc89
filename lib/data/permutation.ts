/** The numbers 0 … n-1 in an order that depends on the seeds alone (Fisher-Yates over a small counter-based generator). */
export function permutation(n: number, ...seeds: readonly number[]): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  let state = seeds.reduce((hash, seed) => scramble(hash ^ (seed >>> 0)), 0x9e3779b9);
  for (let i = n - 1; i > 0; i--) {
    state = scramble((state + 0x6d2b79f5) >>> 0);
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

function scramble(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
