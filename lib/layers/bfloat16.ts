import { forgetReplaced } from '../graph/keepers.js';
import { initialize, Variable } from '../graph/variable.js';
import { reshape } from '../ops/shape.js';
import type { Layer } from './layer.js';

/** The weights of a built layer that may be stored as bfloat16, in float32 or stored so already. */
export function bfloat16Weights(layer: Layer): Variable[] {
  const properties = layer as unknown as Record<string, unknown>;
  return layer.bfloat16Properties
    .map((property) => properties[property])
    .filter((value) => value instanceof Variable)
    .filter(({ dtype }) => dtype === 'float32' || dtype === 'bfloat16');
}

/** Replaces weights of a built layer by the nearest bfloat16. The old ones are free when nothing else holds them. */
export async function quantizeBfloat16(layer: Layer): Promise<void> {
  const weights = bfloat16Weights(layer).filter(({ dtype }) => dtype === 'float32');
  await initialize(weights);
  const made = weights.map((old) => {
    const variable = stored(layer, old);
    variable.setInitialValue(() => reshape(old.read(), layer.storedShape(old.shape)));
    return variable;
  });
  await initialize(made);
  for (const [i, old] of weights.entries()) put(layer, old, made[i]!);
}

/** As quantizeBfloat16, at once, for a weight whose numbers nothing has used yet. */
export function storeBfloat16(layer: Layer, old: Variable): void {
  const made = stored(layer, old);
  const first = old.takePending();
  made.setInitialValue((shape, dtype) =>
    reshape(typeof first === 'function' ? first(shape, dtype) : old.read(), layer.storedShape(old.shape)),
  );
  put(layer, old, made);
}

/** The storage alone. Programs see the shape in which the layer computes with such a weight. */
function stored(layer: Layer, { name, path, shape }: Variable): Variable {
  const variable = new Variable(name, shape, {
    dtype: 'bfloat16',
    trainable: false,
    storedShape: layer.storedShape(shape),
  });
  variable.path = path;
  return variable;
}

function put(layer: Layer, old: Variable, made: Variable): void {
  layer.replaceWeight(old, made);
  layer.weightsStoredAs = 'bfloat16';
  forgetReplaced(old);
}
