import { readFile } from 'node:fs/promises';
import { ChainruleError } from '../errors.js';
import { writeAtomically } from '../formats/atomic_write.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import type { Variable } from '../graph/variable.js';
import type { Layer } from '../layers/layer.js';
import { freeName, snakeClass } from '../names.js';
import { type AnyArray, shapeText } from '../ndarray.js';
import type { Model } from './model.js';

/** Weights by a path that depends on the architecture and not on automatic names: `layers/dense_1/vars/0`, as in Keras's files. */
export function weightPaths(layer: Layer, prefix = '', seen = new Set<Variable>()): Map<string, Variable> {
  const paths = new Map<string, Variable>();
  layer.ownWeights.forEach((variable, i) => {
    // A shared weight is stored once, where it is met first.
    if (!seen.has(variable)) paths.set(`${prefix}vars/${i}`, variable);
    seen.add(variable);
  });
  const taken = new Map<string, true>();
  for (const sublayer of layer.sublayers) {
    const name = freeName(snakeClass(sublayer.className), taken);
    taken.set(name, true);
    for (const [path, variable] of weightPaths(sublayer, `${prefix}layers/${name}/`, seen)) paths.set(path, variable);
  }
  return paths;
}

export async function saveWeights(model: Model, path: string): Promise<void> {
  checkPath('saveWeights', path);
  model.needBuilt('saveWeights');
  const paths = [...weightPaths(model)];
  const values = await Promise.all(paths.map(([, variable]) => variable.value()));
  const tensors = new Map(paths.map(([name], i) => [name, values[i]!]));
  await writeAtomically(path, writeSafetensors({ tensors, metadata: new Map([['format', 'chainrule']]) }));
}

/** Checks everything first: a file that does not fit leaves the model as it was. */
export async function loadWeights(model: Model, path: string): Promise<void> {
  checkPath('loadWeights', path);
  model.needBuilt('loadWeights');
  const { tensors } = readSafetensors(await readFile(path), path);
  const paths = weightPaths(model);
  const pairs: [Variable, AnyArray][] = [];
  for (const [name, variable] of paths) {
    const array = tensors.get(name);
    if (!array) throw mismatch(path, `it has no "${name}" (${variable.path})`, model);
    if (shapeText(array.shape) !== shapeText(variable.shape))
      throw mismatch(
        path,
        `"${name}" has shape ${shapeText(array.shape)}, ${variable.path} has ${shapeText(variable.shape)}`,
        model,
      );
    if (array.dtype !== variable.dtype)
      throw mismatch(path, `"${name}" is ${array.dtype}, ${variable.path} is ${variable.dtype}`, model);
    pairs.push([variable, array]);
  }
  for (const name of tensors.keys())
    if (!paths.has(name)) throw mismatch(path, `it holds "${name}", which the model does not have`, model);
  await Promise.all(pairs.map(([variable, array]) => variable.write(array)));
}

function mismatch(path: string, what: string, model: Model): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `${path} does not fit model "${model.name}": ${what}. Weights can be loaded only into the architecture that saved them.`,
  );
}

function checkPath(what: string, path: unknown): void {
  if (typeof path !== 'string' || path === '')
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `${what}: a file path is expected, got ${String(path)}.`);
}
