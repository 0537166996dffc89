import type { Config, Serialized } from '../../config.js';
import { sameJson } from '../../config.js';

/** Keys of Keras 1 and 2 that mean nothing any more: whatever stands there, or only one value (any other is refused). */
const dropped: Record<string, unknown[]> = {
  implementation: [],
  input_length: [],
  autocast: [],
  experimental_autocast: [],
  fused: [],
  virtual_batch_size: [null],
  adjustment: [null],
  time_major: [false],
  ragged: [false],
  sparse: [false],
  decay: [0],
};

/** Names that Keras 3 changed, where the class has them. */
const renamed: Record<string, Record<string, string>> = {
  LeakyReLU: { alpha: 'negative_slope' },
  InputLayer: { batch_input_shape: 'batch_shape' },
};

const modelClasses: Record<string, string> = {
  Model: 'Functional',
  Functional: 'Functional',
  Sequential: 'Sequential',
};

/**
 * The description of a model in a legacy `.h5` file in the form of Keras 3. Keras 2 has no modules, `batch_input_shape` in
 * the first layer of a stack, calls as lists of [layer, call, output], and some keys of its own
 * (https://github.com/keras-team/keras/blob/master/keras/src/legacy/saving/legacy_h5_format.py).
 */
export function modernDescription(saved: Serialized): Serialized {
  const config = saved.config as unknown;
  const kind = modelClasses[saved.class_name];
  if (kind === 'Sequential') return { ...saved, config: sequential(config) };
  if (kind === 'Functional' && Array.isArray((config as Config).layers))
    return { ...saved, class_name: kind, config: functional(config as Config) };
  return { ...saved, config: layerConfig(saved.class_name, (config ?? {}) as Config) };
}

function sequential(config: unknown): Config {
  // Keras 1 and early 2: the bare list of layers.
  const whole: Config = Array.isArray(config) ? { layers: config } : { ...(config as Config) };
  const layers = asList(whole.layers);
  const first = layers[0];
  const shape =
    first && first.class_name !== 'InputLayer' ? (first.config as Config | undefined)?.batch_input_shape : undefined;
  const made = layers.map(modernDescription);
  if (Array.isArray(shape)) {
    const { name, dtype } = first!.config;
    const input = {
      batch_shape: shape,
      dtype: typeof dtype === 'string' ? dtype : 'float32',
      name: `${String(name)}_input`,
    };
    made.unshift({ module: null, class_name: 'InputLayer', config: input, registered_name: null });
  }
  return { ...whole, name: whole.name ?? 'sequential', layers: made };
}

function functional(config: Config): Config {
  const layers = asList(config.layers) as (Serialized & { inbound_nodes?: unknown[] })[];
  // Keras 2 counts a nested model's own definition as its first call.
  const calls = new Map(layers.map((layer) => [nameOf(layer), layer.inbound_nodes?.length ?? 0]));
  const shifted = new Set<string>();
  const references = (value: unknown, visit: (place: unknown[]) => void): void => {
    if (!Array.isArray(value)) {
      if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) references(item, visit);
    } else if (typeof value[0] === 'string' && Number.isInteger(value[1]) && Number.isInteger(value[2])) {
      visit(value);
      references(value[3], visit);
    } else for (const item of value) references(item, visit);
  };
  const nodes = layers.map((layer) => structuredClone(layer.inbound_nodes ?? []));
  const models = new Set(layers.filter((layer) => layer.class_name in modelClasses).map(nameOf));
  references(nodes, ([name, call]) => {
    if (models.has(name as string) && (call as number) >= (calls.get(name as string) ?? 0)) shifted.add(name as string);
  });
  references(nodes, (place) => {
    if (shifted.has(place[0] as string)) place[1] = (place[1] as number) - 1;
  });
  return {
    ...config,
    layers: layers.map((layer, i) => ({ ...modernDescription(layer), name: nameOf(layer), inbound_nodes: nodes[i] })),
  };
}

function nameOf(layer: Serialized & { name?: unknown }): string {
  return String(layer.name ?? layer.config?.name);
}

/** Options of a layer; layers inside (wrappers, cells) are converted as well. */
function layerConfig(className: string, config: Config): Config {
  const names = renamed[className] ?? {};
  const result: Config = {};
  for (const [key, value] of Object.entries(config)) {
    const name = Object.hasOwn(names, key) ? names[key]! : key;
    const only = Object.hasOwn(dropped, key) ? dropped[key]! : undefined;
    if (only && className !== 'InputLayer' && (only.length === 0 || only.some((one) => sameJson(one, value)))) continue;
    if (key === 'batch_input_shape' && name === key) continue;
    if (key === 'axis' && Array.isArray(value) && value.length === 1) result.axis = value[0];
    else if (key === 'dtype') {
      const policy = (value as { config?: { name?: unknown } } | null)?.config?.name;
      result.dtype = policy ?? value;
    } else result[name] = inner(value);
  }
  return result;
}

function inner(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inner);
  if (typeof value !== 'object' || value === null || !('class_name' in value)) return value;
  return modernDescription(value as Serialized);
}

function asList(value: unknown): Serialized[] {
  return Array.isArray(value) ? (value as Serialized[]) : [];
}

/** Keras 2's training_config in the form of compile_config. */
export function modernTraining(training: Config): Config {
  const { optimizer_config: optimizer, loss, metrics, weighted_metrics, loss_weights } = training;
  return {
    optimizer: optimizer ? optimizerDescription(optimizer as Serialized) : null,
    loss: objects(loss),
    metrics: objects(metrics),
    weighted_metrics: objects(weighted_metrics),
    loss_weights: loss_weights ?? null,
  };
}

function optimizerDescription({ class_name, config }: Serialized): Serialized {
  const { lr, decay, jit_compile, is_legacy_optimizer, ...rest } = config;
  void [jit_compile, is_legacy_optimizer];
  return {
    module: null,
    class_name: class_name.replace(/^Custom>/, ''),
    config: {
      ...rest,
      ...(lr !== undefined && { learning_rate: lr }),
      ...(decay !== undefined && decay !== 0 && { decay }),
    },
    registered_name: null,
  };
}

/** Losses and metrics: Keras 2 wraps functions, and has a reduction "auto". */
function objects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(objects);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const { class_name: name, config } = value as Partial<Serialized>;
  if (typeof name !== 'string')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, objects(item)]));
  const { reduction, fn, ...rest } = (config ?? {}) as Config;
  if (/^(MeanMetricWrapper|LossFunctionWrapper)$/.test(name) && typeof fn === 'string') return fn;
  const kept = reduction === undefined || reduction === 'auto' ? {} : { reduction };
  return { ...value, module: null, config: { ...rest, ...kept } };
}
