import { trace, Variable } from '../../graph/index.js';
import { uniform } from '../../ops/random.js';

/** Uniform numbers in [-1, 1) that are drawn on the device and stay there: gigabytes that never travel. */
export async function residents(
  name: string,
  count: number,
  shape: readonly number[],
  dtype: 'float32' | 'bfloat16' = 'float32',
): Promise<Variable[]> {
  const variables = room(name, count, shape, dtype);
  for (let first = 0; first < count; first += 64) {
    const draw = trace(() => {
      for (const variable of variables.slice(first, first + 64))
        variable.assign(uniform(shape, { minval: -1, maxval: 1 }));
      return [];
    });
    await draw.run({});
  }
  return variables;
}

/** Where results of that shape stay. */
export function room(
  name: string,
  count: number,
  shape: readonly number[],
  dtype: 'float32' | 'bfloat16' = 'float32',
): Variable[] {
  return Array.from({ length: count }, (_, i) => new Variable(`${name}_${i}`, shape, { dtype, trainable: false }));
}
