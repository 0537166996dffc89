import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { NDArray, shapeText } from '../ndarray.js';
import { add, matmul, subtract } from './math.js';
import { float, type Operand } from './operands.js';
import { pad, strided } from './shape.js';

// Discrete Fourier transforms of the last axis as products with the matrices of cosines and sines: exact gradients for the price
// of n² products, which is what short frames need.

/** cos and sin of 2π · place · frequency / n, [n, frequencies]. */
function waves(n: number, frequencies: number): { cosine: NDArray; sine: NDArray } {
  const angle = (i: number): number => {
    const turns = (Math.floor(i / frequencies) * (i % frequencies)) % n;
    return (2 * Math.PI * turns) / n;
  };
  const table = (fn: (angle: number) => number): NDArray =>
    new NDArray(
      Float32Array.from({ length: n * frequencies }, (_, i) => fn(angle(i))),
      [n, frequencies],
    );
  return { cosine: table(Math.cos), sine: table(Math.sin) };
}

function lengthOf(op: string, x: Tensor): number {
  const n = x.dims.at(-1);
  if (n !== undefined && n > 0) return n;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: the last axis of ${shapeText(x.shape)} must have a known size.`,
  );
}

/** The transform of complex numbers, given and returned as [real, imaginary] (https://keras.io/api/ops/fft/). */
export function fft([real, imaginary]: readonly [Operand, Operand]): [Tensor, Tensor] {
  const [re, im] = [float(real), float(imaginary)];
  const n = lengthOf('fft', re);
  const { cosine, sine } = waves(n, n);
  return [add(matmul(re, cosine), matmul(im, sine)), subtract(matmul(im, cosine), matmul(re, sine))];
}

/** The n / 2 + 1 first frequencies of real numbers as [real, imaginary]; `fftLength` cuts or fills up with zeros before. */
export function rfft(x: Operand, fftLength?: number): [Tensor, Tensor] {
  let value = float(x);
  const own = lengthOf('rfft', value);
  const n = fftLength ?? own;
  if (n < own) value = strided(value, -1, 0, n);
  if (n > own) value = pad(value, [...value.dims.slice(0, -1).map((): [number, number] => [0, 0]), [0, n - own]]);
  const { cosine, sine } = waves(n, Math.floor(n / 2) + 1);
  return [matmul(value, cosine), subtract(0, matmul(value, sine))];
}
