import type { Serialized } from '../config.js';
import { ChainruleError } from '../errors.js';
import { openHdf5 } from '../formats/hdf5/index.js';
import { pause } from '../formats/pause.js';
import { type Budget, withBudget } from '../graph/budget.js';
import type { NDArray } from '../ndarray.js';
import { type CustomObjects, inLoadScope, type LoadScope } from '../registered.js';
import { signal as abortSignal, checkRules, flag, type Rule } from '../rules.js';
import { Model } from './model.js';
import { type FilePath, filePath } from './paths.js';
import { KerasArchive, readWhole, sniff } from './saving/archive.js';
import { type Building, buildLayer } from './saving/build.js';
import { compileOptions } from './saving/compile_config.js';
import { checkDescription } from './saving/gate.js';
import { LegacyFile } from './saving/legacy_file.js';
import { matchWeights } from './saving/match.js';
import { loadLegacyOptimizer, loadOptimizer } from './saving/optimizer_state.js';
import { assign, namedArrays, sizeOfWeights } from './saving/read_weights.js';
import { restoreStorage } from './saving/storage.js';
import { flattenTree, saveableTree } from './saving/tree.js';

export interface LoadOptions {
  /** Also compile the model as it was, with the state of its optimizer (default true). */
  compile?: boolean;
  /** Classes and functions of the program that the file may name, by name. */
  customObjects?: CustomObjects;
  signal?: AbortSignal;
}

const record: Rule = {
  expected: 'a record of classes and functions by name',
  allows: (value) => typeof value === 'object' && !Array.isArray(value),
};

/**
 * Opens a model that Keras 3 or `model.save` wrote (`.keras`), with its weights, what it was compiled with and the
 * state of its optimizer: training goes on where it stopped. Nothing in a file is ever run as code. Legacy `.h5` models
 * of Keras 1 and 2 open, too (https://keras.io/api/models/model_saving_apis/).
 *
 * A file that is broken or foreign is ERR_CHAINRULE_FORMAT; layers that are not known are listed in one
 * ERR_CHAINRULE_UNKNOWN_CLASS; layers that hold code are ERR_CHAINRULE_UNSAFE_LAYER.
 */
export async function loadModel<M extends Model<never> = Model<NDArray>>(
  file: FilePath,
  options: LoadOptions = {},
): Promise<M> {
  checkRules('loadModel', options, { compile: flag, customObjects: record, signal: abortSignal });
  const path = filePath('loadModel', file);
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    const kind = await sniff(path);
    if (kind === 'zip') return (await loadKeras(path, options)) as unknown as M;
    if (kind === 'hdf5') return (await loadLegacy(path, options)) as unknown as M;
    throw new ChainruleError(
      'ERR_CHAINRULE_FORMAT',
      `${path}: this is neither a .keras file nor an HDF5 file. loadModel opens what model.save and Keras write.`,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw located(path, error);
  }
}

async function loadKeras(path: string, { compile = true, customObjects = {}, signal }: LoadOptions): Promise<Model> {
  const archive = await KerasArchive.open(path);
  try {
    const description = await archive.config(signal);
    if (!compile) delete description.compile_config;
    const scope: LoadScope = { custom: customObjects, shared: new Map() };
    inLoadScope(scope, () => checkDescription(description, path));
    await pause();
    const content = await archive.weights(signal);
    const root = openHdf5(content, `${path} (model.weights.h5)`);
    const budget = { left: sizeOfWeights(root, content.length, path) + 2 ** 25 };
    const model = await buildModel(description, scope, budget, signal);
    const tree = saveableTree(model);
    const assets = await archive.assets(signal);
    for (const { path: place, layer } of flattenTree(tree)) {
      if (layer.loadArrays) layer.loadArrays(await namedArrays(root, place));
      const files = assets.get(place);
      if (files) layer.loadAssets?.(files);
    }
    const matches = matchWeights(tree, root, path);
    const stored = restoreStorage(tree, matches);
    await assign(stored ? matchWeights(saveableTree(model), root, path) : matches, signal);
    const compiled = description.compile_config;
    if (compiled && Object.keys(compiled).length > 0) {
      inLoadScope(scope, () => model.compile(compileOptions(compiled)));
      await loadOptimizer(model, root, path);
    }
    return model;
  } finally {
    await archive.close();
  }
}

async function loadLegacy(path: string, { compile = true, customObjects = {}, signal }: LoadOptions): Promise<Model> {
  const content = await readWhole(path, signal);
  const file = new LegacyFile(content, path);
  const description = file.description();
  if (!compile) delete description.compile_config;
  const scope: LoadScope = { custom: customObjects, shared: new Map() };
  inLoadScope(scope, () => checkDescription(description, path));
  const budget = { left: sizeOfWeights(file.root, content.length, path) + 2 ** 25 };
  const model = await buildModel(description, scope, budget, signal);
  await assign(file.matches(model), signal);
  const compiled = description.compile_config;
  if (compiled) {
    inLoadScope(scope, () => model.compile(compileOptions(compiled)));
    const state = file.optimizer();
    if (state) await loadLegacyOptimizer(model, state, path);
  }
  return model;
}

/** Makes the model of a description, layer by layer, between which others run. @internal */
export async function buildModel(
  description: Serialized,
  scope: LoadScope,
  budget: Budget,
  signal?: AbortSignal,
): Promise<Model> {
  const work: Building<unknown> = buildLayer(description);
  for (;;) {
    signal?.throwIfAborted();
    const step = inLoadScope(scope, () => withBudget(budget, () => work.next()));
    if (!step.done) {
      await pause();
      continue;
    }
    const model = step.value;
    if (!(model instanceof Model))
      throw new ChainruleError('ERR_CHAINRULE_FORMAT', `${description.class_name} is no model.`);
    const shape = description.build_config?.input_shape;
    if (!model.built && Array.isArray(shape))
      inLoadScope(scope, () => withBudget(budget, () => model.build(shape as number[])));
    return model;
  }
}

const ownCodes = new Set(['FORMAT', 'IO', 'UNKNOWN_CLASS', 'UNSAFE_LAYER', 'UNSUPPORTED', 'OOM', 'CLOSED']);

/** Whatever goes wrong inside while a file is read is the file's fault; the message says which file. */
function located(path: string, error: unknown): ChainruleError {
  const { message } = error as Error;
  if (error instanceof ChainruleError && ownCodes.has(error.code.replace('ERR_CHAINRULE_', ''))) {
    if (message.includes(path)) return error;
    return new ChainruleError(error.code, `${path}: ${message}`, { details: error.details, cause: error });
  }
  const details = error instanceof ChainruleError ? error.details : {};
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `${path}: the model in it cannot be made: ${message}`, {
    details,
    cause: error,
  });
}
