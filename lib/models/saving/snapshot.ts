import { compute } from '../../graph/traced.js';
import type { Variable } from '../../graph/variable.js';
import type { AnyArray } from '../../ndarray.js';

/**
 * The numbers of all these variables at one moment: one job reads them, so that a fit that is running changes none of
 * them in between. It runs on the CPU wherever the model does, so that nothing is copied to a GPU, and a lost GPU keeps
 * nobody from what the host has.
 */
export async function snapshot(
  variables: Iterable<Variable>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<Variable, AnyArray>> {
  const all = [...new Set(variables)];
  if (all.length === 0) return new Map();
  const options = { device: 'cpu', ...(signal ? { signal } : {}) } as const;
  const values = (await compute(() => all.map((variable) => variable.read()), options)) as unknown as AnyArray[];
  return new Map(all.map((variable, i) => [variable, values[i]!.reshape(variable.shape)]));
}
