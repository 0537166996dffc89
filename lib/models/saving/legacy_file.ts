import type { Config, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { type Hdf5Group, openHdf5 } from '../../formats/hdf5/index.js';
import type { Variable } from '../../graph/variable.js';
import type { Layer } from '../../layers/layer.js';
import { shapeText } from '../../ndarray.js';
import type { Model } from '../model.js';
import { parseDescription } from './archive.js';
import { modernDescription, modernTraining } from './legacy.js';
import type { Match } from './match.js';

/** A whole model in the format of Keras 1 and 2 (`.h5`). */
export class LegacyFile {
  readonly root: Hdf5Group;

  constructor(
    content: Uint8Array,
    private readonly path: string,
  ) {
    this.root = openHdf5(content, path);
  }

  /** The description, in the form of Keras 3, with compile_config where the model was compiled. */
  description(): Serialized {
    const text = this.root.attributes.get('model_config');
    if (typeof text !== 'string')
      throw broken(
        this.path,
        this.root.has('layer_names') || this.root.has('layers') || this.root.attributes.has('layer_names')
          ? 'it holds weights only; make the model and call model.loadWeights(path)'
          : 'it has no model_config, so it is no model of Keras',
      );
    const description = modernDescription(parseDescription(text, `${this.path} (model_config)`));
    const training = this.root.attributes.get('training_config');
    if (typeof training !== 'string') return description;
    let parsed: unknown;
    try {
      parsed = JSON.parse(training);
    } catch {
      throw broken(this.path, 'its training_config is no JSON');
    }
    return { ...description, compile_config: modernTraining((parsed ?? {}) as Config) };
  }

  /** The numbers of all weights. */
  matches(model: Model): Match[] {
    const weights = this.root.group('model_weights');
    if (!weights) throw broken(this.path, 'it has no model_weights');
    return matchLegacy(model, weights, this.path);
  }

  /** Names of the optimizer's variables, and the group that holds them. */
  optimizer(): { names: string[]; group: Hdf5Group } | undefined {
    const group = this.root.group('optimizer_weights');
    return group && { names: namesOf(group, 'weight_names'), group };
  }
}

/** Weights by layer: by name where the names agree, else by order. */
export function matchLegacy(model: Model, group: Hdf5Group, path: string): Match[] {
  const saved = namesOf(group, 'layer_names')
    .map((name) => ({ name, weights: namesOf(layerGroup(group, name, path), 'weight_names') }))
    .filter(({ weights }) => weights.length > 0);
  const layers = model.layers.filter((layer) => layer.weights.length > 0);
  if (saved.length !== layers.length)
    throw broken(
      path,
      `it has weights of ${saved.length} layers, model "${model.name}" has ${layers.length} with weights`,
    );
  const byName = new Map(saved.map((one) => [one.name, one]));
  const named = byName.size === saved.length && layers.every((layer) => byName.has(layer.name));
  const matches = layers.flatMap((layer, i) => {
    const { name, weights } = named ? byName.get(layer.name)! : saved[i]!;
    return matchOne(legacyOrder(layer), layerGroup(group, name, path), weights, `layer "${layer.name}"`, path);
  });
  const top = group.group('top_level_model_weights');
  const own = model.ownWeights;
  return top ? [...matches, ...matchOne(own, top, namesOf(top, 'weight_names'), 'the model itself', path)] : matches;
}

/** Trainable weights of a layer stand before the others. */
function legacyOrder(layer: Layer): Variable[] {
  return [...layer.trainableWeights, ...layer.nonTrainableWeights];
}

function matchOne(
  variables: readonly Variable[],
  group: Hdf5Group,
  names: readonly string[],
  owner: string,
  path: string,
): Match[] {
  if (names.length !== variables.length)
    throw broken(path, `${owner} has ${variables.length} weights, the file has ${names.length}`);
  return variables.map((variable, i) => {
    const dataset = group.dataset(names[i]!);
    if (!dataset) throw broken(path, `"${names[i]}" of ${owner} is missing`);
    if (shapeText(dataset.shape) !== shapeText(variable.shape))
      throw broken(
        path,
        `"${dataset.path}" has shape ${shapeText(dataset.shape)}, ${variable.path} has ${shapeText(variable.shape)}`,
      );
    return { variable, dataset };
  });
}

function layerGroup(group: Hdf5Group, name: string, path: string): Hdf5Group {
  // A layer's name may itself be a path.
  const found = group.group(name);
  if (!found) throw broken(path, `it lists the layer "${name}", which is missing`);
  return found;
}

/** A list of names, which Keras splits over several attributes where it is long. */
function namesOf(group: Hdf5Group, attribute: string): string[] {
  const { attributes } = group;
  const whole = attributes.get(attribute);
  if (whole !== undefined) return texts(whole);
  const found: string[] = [];
  for (let i = 0; attributes.has(`${attribute}${i}`); i++) found.push(...texts(attributes.get(`${attribute}${i}`)));
  return found;
}

function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === 'string');
}

function broken(path: string, what: string): ChainruleError {
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `${path}: ${what}.`);
}
