import { Variable } from '../graph/variable.js';
import { SeedGenerator } from '../ops/random.js';
import type { Layer } from './layer.js';

/** The variables and layers that an object holds in its properties (also in lists, records and Maps), in their order. */
export function tracked(
  owner: object,
  isLayer: (value: unknown) => value is Layer,
): { variables: Variable[]; layers: Layer[]; seeds: Variable[] } {
  const variables = new Set<Variable>();
  const layers = new Set<Layer>();
  const seeds = new Set<Variable>();
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    // A layer as an activation is a function that knows its layer.
    if (typeof value === 'function' && 'layer' in value) visit((value as { layer: unknown }).layer);
    if (typeof value !== 'object' || value === null) return;
    if (isLayer(value)) layers.add(value);
    else if (value instanceof Variable) variables.add(value);
    else if (value instanceof SeedGenerator) seeds.add(value.state);
    else if (Array.isArray(value)) {
      // A list of numbers or strings may be long and holds nothing to find.
      if (typeof value[0] === 'object' && !seen.has(value)) {
        seen.add(value);
        value.forEach(visit);
      }
    } else if (value instanceof Map) {
      for (const item of value.values()) visit(item);
    } else if (Object.getPrototypeOf(value) === Object.prototype && !seen.has(value)) {
      seen.add(value);
      Object.values(value).forEach(visit);
    }
  };
  Object.values(owner).forEach(visit);
  return { variables: [...variables], layers: [...layers], seeds: [...seeds] };
}
