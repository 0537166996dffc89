import type { Config, Serialized } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import { forgetReplaced } from '../graph/keepers.js';
import { initialize, type Variable } from '../graph/variable.js';
import { absMaxQuantize } from '../ops/quantized.js';
import { reshape } from '../ops/shape.js';
import type { Layer } from './layer.js';

/** How `model.quantize` stores weights. */
export type QuantizationMode = 'int8' | 'bfloat16';
export const quantizationModes: readonly QuantizationMode[] = ['int8', 'bfloat16'];

/** The weight that a layer can store as int8: a matrix, with a scale for each row or column. */
export interface Int8Weight {
  /** Properties of the layer. */
  readonly weight: string;
  readonly scale: string;
  readonly matrix: readonly [rows: number, columns: number];
  readonly scales: 'rows' | 'columns';
  /** The shape of the scales in files; [rows] or [columns] by default. */
  readonly scaleShape?: readonly number[];
  /** Keras has no such form: it is made on demand only, and its files cannot hold it. */
  readonly onlyHere?: boolean;
}

/**
 * Rows of a matrix of int8: sums of more products of numbers up to 127 may not fit into the int32 that they are made in
 * (kInt8Depth in native/cpu/types.h).
 */
export const maxInt8Rows = Math.floor((2 ** 31 - 1) / 127 ** 2);

const policy = /^(\w+)_from_float32$/;

/** The mode in the name of a dtype policy of Keras's, as in 'int8_from_float32'. */
export function modeOf(dtype: string): 'int8' | undefined {
  return policy.exec(dtype)?.[1] === 'int8' ? 'int8' : undefined;
}

/** What Keras's QuantizedDTypePolicy says, as the name of a policy; undefined where it is none. */
export function policyOf({ class_name: name, config }: Partial<Serialized>): string | undefined {
  return name === 'QuantizedDTypePolicy' ? `${config?.mode}_from_${config?.source_name}` : undefined;
}

/** How Keras writes the policy of a quantized layer. */
export const quantizedPolicy = (mode: 'int8'): Serialized => ({
  module: 'keras.dtype_policies',
  class_name: 'QuantizedDTypePolicy',
  config: { mode, source_name: 'float32' },
  registered_name: null,
});

const keras = (name: string, config: Config): Serialized => ({
  module: 'keras.quantizers',
  class_name: name,
  config,
  registered_name: null,
});

/** Keras's default for int8, the only rule that is known here: by the largest magnitude. */
const int8Config = (): Serialized =>
  keras('Int8QuantizationConfig', {
    weight_quantizer: null,
    activation_quantizer: keras('AbsMaxQuantizer', { value_range: [-127, 127], epsilon: 1e-7, output_dtype: 'int8' }),
  });

/** What stands in the config of a layer. */
export const quantizationConfig = (layer: Layer): Serialized | null =>
  layer.quantization === 'int8' ? int8Config() : null;

/** Refuses other rules than those of a mode's default. */
export function checkQuantizationConfig(layer: Layer, given: unknown): void {
  if (given === undefined || given === null) return;
  const plain = (value: unknown): string =>
    JSON.stringify(value, (key, inner: unknown) => (key === 'shared_object_id' ? undefined : inner));
  if (layer.quantization === 'int8' && plain(given) === plain(int8Config())) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `${layer.className} "${layer.name}": quantization_config ${shown(plain(given))} is not supported; int8 layers are quantized as Keras does by default.`,
  );
}

/** The variables of a weight that is stored as int8, not yet written. Programs see a matrix and a vector. */
export function addInt8(
  layer: Layer,
  name: string,
  shape: readonly number[],
  form: Int8Weight | undefined,
): { values: Variable; scale: Variable } {
  if (!form)
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `${layer.className} "${layer.name}": its ${name} cannot be stored as int8 here (at most ${maxInt8Rows.toLocaleString('en-US')} rows).`,
    );
  const { matrix, scales, scaleShape } = form;
  const count = matrix[scales === 'rows' ? 0 : 1];
  const options = { trainable: false } as const;
  return {
    values: layer.addWeight(name, shape, { ...options, dtype: 'int8', storedShape: matrix }),
    scale: layer.addWeight(`${name}_scale`, scaleShape ?? [count], {
      ...options,
      initializer: 'ones',
      storedShape: [count],
    }),
  };
}

/** Replaces a built layer's weight by int8 numbers and their scales. The old one is free when nothing else holds it. */
export async function quantizeLayer(layer: Layer, form: Int8Weight): Promise<void> {
  const properties = layer as unknown as Record<string, Variable>;
  const old = properties[form.weight]!;
  // A program that computes first values reads others as they are stored: those of weights that nothing used are zeros.
  await initialize([old]);
  const { values, scale } = addInt8(layer, old.name, old.shape, form);
  values.path = old.path;
  scale.path = `${old.path}_scale`;
  const quantized = () => absMaxQuantize(reshape(old.read(), form.matrix), form.scales === 'rows' ? 1 : 0);
  values.setInitialValue(() => quantized().values);
  scale.setInitialValue(() => quantized().scale);
  try {
    await initialize([values, scale]);
  } catch (error) {
    layer.removeWeight(values);
    layer.removeWeight(scale);
    throw error;
  }
  layer.removeWeight(old);
  layer.dtype = 'int8_from_float32';
  properties[form.weight] = values;
  properties[form.scale] = scale;
  forgetReplaced(old);
}
