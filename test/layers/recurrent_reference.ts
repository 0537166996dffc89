import { NDArray } from '../../lib/index.js';
import type { Attrs, Values } from '../ops/case.js';
import { recurrent } from '../ops/cases/recurrent.js';
import { type Ref, ref } from './reference.js';

const asValues = ({ data, shape }: Ref): Values => ({ data: Float64Array.from(data), shape });

/** The parts of a walk: last output, sequence, states. */
export const walk = (op: string, x: Ref, weights: Ref[], attrs: Attrs = {}): Ref[] =>
  recurrent(op, [x, ...weights].map(asValues), { bias: true, ...attrs }).map(({ data, shape }) => ref(data, shape));

/** Numbers between −1 and 1, the same at every run. */
export const numbers = (shape: number[], offset = 0): NDArray =>
  new NDArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin((i + offset) * 1.3 + 0.2)),
    shape,
  );
