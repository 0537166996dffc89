import { ChainruleError } from '../errors.js';
import { writeAtomically } from '../formats/atomic_write.js';
import { openHdf5, planHdf5 } from '../formats/hdf5/index.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import type { Variable } from '../graph/variable.js';
import type { Layer } from '../layers/layer.js';
import { type AnyArray, computeDtype, NDArray, shapeText } from '../ndarray.js';
import { signal as abortSignal, checkRules } from '../rules.js';
import type { Model } from './model.js';
import { type FilePath, filePath } from './paths.js';
import { KerasArchive, readWhole, sniff } from './saving/archive.js';
import { matchLegacy } from './saving/legacy_file.js';
import { matchWeights } from './saving/match.js';
import { assign } from './saving/read_weights.js';
import { snapshot } from './saving/snapshot.js';
import { flattenTree, saveableTree } from './saving/tree.js';
import { weightGroups } from './saving/written_weights.js';

/** Weights by a path that depends on the architecture and not on automatic names: `layers/dense_1/vars/0`, as in Keras's files. */
export function weightPaths(root: Layer): Map<string, Variable> {
  const paths = new Map<string, Variable>();
  for (const { path, variables } of flattenTree(saveableTree(root))) {
    const folder = path === '' ? 'vars' : `${path}/vars`;
    for (const [i, variable] of variables.entries()) paths.set(`${folder}/${i}`, variable);
  }
  return paths;
}

/** `.weights.h5` as Keras writes it, the state of the optimizer included; everything else is safetensors. */
export async function saveWeights(model: Model, file: FilePath, options: { signal?: AbortSignal } = {}): Promise<void> {
  const path = filePath('saveWeights', file);
  checkRules('saveWeights', options, { signal: abortSignal });
  const { signal } = options;
  signal?.throwIfAborted();
  model.needBuilt('saveWeights');
  const hdf5 = path.endsWith('.weights.h5');
  if (!hdf5 && /\.(h5|hdf5|keras)$/.test(path))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `saveWeights: the path ends in .weights.h5 or .safetensors, got ${path}. A whole model is written by save.`,
    );
  const tree = saveableTree(model);
  const paths = [...weightPaths(model)];
  const optimizer = hdf5 ? model.compiled?.optimizer : undefined;
  const values = await snapshot([...paths.map(([, variable]) => variable), ...(optimizer?.variables ?? [])], signal);
  if (hdf5) {
    await writeAtomically(path, planHdf5(weightGroups(tree, optimizer, values)).pieces(), { signal });
    return;
  }
  const tensors = new Map(
    paths.map(([name, variable]) => {
      const { data, shape } = values.get(variable)!;
      return [name, new NDArray(data, shape, variable.dtype)];
    }),
  );
  await writeAtomically(path, writeSafetensors({ tensors, metadata: new Map([['format', 'chainrule']]) }), { signal });
}

/** Checks everything first: a file that does not fit leaves the model as it was. */
export async function loadWeights(model: Model, file: FilePath): Promise<void> {
  const path = filePath('loadWeights', file);
  model.needBuilt('loadWeights');
  const kind = await sniff(path);
  if (kind === 'zip') {
    const archive = await KerasArchive.open(path);
    try {
      const root = openHdf5(await archive.weights(), path);
      await assign(matchWeights(saveableTree(model), root, path));
    } finally {
      await archive.close();
    }
    return;
  }
  const content = await readWhole(path);
  if (kind === 'hdf5') {
    const root = openHdf5(content, path);
    // Keras 1 and 2 list the layers; their whole models hold the same one level down.
    const legacy = root.has('model_weights') ? root.group('model_weights')! : root;
    const old = legacy.attributes.has('layer_names') || legacy.attributes.has('layer_names0');
    await assign(old ? matchLegacy(model, legacy, path) : matchWeights(saveableTree(model), root, path));
  } else await loadSafetensors(model, content, path);
}

async function loadSafetensors(model: Model, content: Uint8Array, path: string): Promise<void> {
  const { tensors } = readSafetensors(content, path);
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
    // bfloat16 is widened exactly, and rounded to.
    if (computeDtype(array.dtype) !== computeDtype(variable.dtype))
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
