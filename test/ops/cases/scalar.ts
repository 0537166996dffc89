import { eachIndex, positionOf, type Reference, values } from '../case.js';

// Functions of numbers, applied to each element of broadcast tensors.

export type Scalar = (a: number, b: number, c: number) => number;

export function broadcastShape(shapes: readonly number[][]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

export function elementwise(f: Scalar): Reference {
  return (inputs) => {
    const out = values(broadcastShape(inputs.map(({ shape }) => shape)));
    const at = (k: number, index: number[]): number =>
      k < inputs.length ? inputs[k]!.data[positionOf(inputs[k]!.shape, index)]! : Number.NaN;
    eachIndex(out.shape, (index, position) => {
      out.data[position] = f(at(0, index), at(1, index), at(2, index));
    });
    return out;
  };
}

/** erf in float64: its series where it converges fast, the continued fraction of erfc beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); ++n) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; --n) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (a + fraction) / Math.sqrt(Math.PI));
}
