import { promises as fs } from 'node:fs';
import type { Serialized } from '../config.js';
import { ChainruleError } from '../errors.js';
import { writeAtomically } from '../formats/atomic_write.js';
import { planHdf5 } from '../formats/hdf5/index.js';
import type { ZipContent } from '../formats/zip_writer.js';
import { layerFamily } from '../layers/index.js';
import { type CustomObjects, inLoadScope } from '../registered.js';
import { signal as abortSignal, checkRules, flag } from '../rules.js';
import { Model } from './model.js';
import { type FilePath, filePath } from './paths.js';
import { members, parseDescription } from './saving/archive.js';
import { describeModel } from './saving/describe.js';
import { checkDescription } from './saving/gate.js';
import { kerasJson } from './saving/keras_json.js';
import { snapshot } from './saving/snapshot.js';
import { flattenTree, saveableTree } from './saving/tree.js';
import { weightGroups } from './saving/written_weights.js';

export interface SaveOptions {
  /** Replace a file that is there (default true). */
  overwrite?: boolean;
  /** Also save the state of the optimizer, so that training can go on (default true). */
  includeOptimizer?: boolean;
  /** Stops the saving; the file that was there before stays. */
  signal?: AbortSignal;
}

/** The version of Keras whose files are written. */
const kerasVersion = '3.15.1';

/** Writes a `.keras` file (https://github.com/keras-team/keras/blob/master/keras/src/saving/saving_lib.py). */
export async function saveModel(model: Model, file: FilePath, options: SaveOptions = {}): Promise<void> {
  checkRules('save', options, { overwrite: flag, includeOptimizer: flag, signal: abortSignal });
  const { overwrite = true, includeOptimizer = true, signal } = options;
  const path = filePath('save', file);
  checkPath(path);
  signal?.throwIfAborted();
  if (!model.built)
    process.emitWarning(
      `save: model "${model.name}" is not built, so ${path} will hold its layers without weights. Fit it, call predict, or model.build([null, …]) before.`,
      'ChainruleWarning',
    );
  if (!overwrite && (await exists(path))) throw taken(path);
  // Everything that describes the model is taken in one go; then one job reads all numbers.
  const description = encode(describeModel(model));
  const tree = saveableTree(model);
  const optimizer = includeOptimizer ? model.compiled?.optimizer : undefined;
  const assets = flattenTree(tree).flatMap(({ path: place, layer }) =>
    [...(layer.saveAssets?.() ?? [])].map(([name, content]) =>
      member(`${members.assets}${place === '' ? '' : `${place}/`}${name}`, content),
    ),
  );
  const variables = [...flattenTree(tree).flatMap((saveable) => saveable.variables), ...(optimizer?.variables ?? [])];
  const plan = planHdf5(weightGroups(tree, optimizer, await snapshot(variables, signal)));
  const content: ZipContent[] = [
    member(members.metadata, encode({ keras_version: kerasVersion, date_saved: timestamp(new Date()) })),
    member(members.config, description),
    { name: members.weights, size: plan.size, pieces: plan.pieces },
    ...assets,
  ];
  const { zipBytes } = await import('../formats/zip_writer.js');
  await writeAtomically(path, zipBytes(content), { signal, overwrite });
}

/** Makes a model, without weights, from what `model.toJSON()` gave: a description or its text. */
export function modelFromJSON<M extends Model<never> = Model>(
  json: string | Serialized,
  { customObjects = {} }: { customObjects?: CustomObjects } = {},
): M {
  const label = 'modelFromJSON';
  const description = parseDescription(typeof json === 'string' ? json : JSON.stringify(json), label);
  delete description.compile_config;
  return inLoadScope({ custom: customObjects, shared: new Map() }, () => {
    checkDescription(description, label);
    const model = layerFamily.resolve(description);
    if (!(model instanceof Model))
      throw new ChainruleError('ERR_CHAINRULE_FORMAT', `${label}: ${description.class_name} is no model.`);
    return model as unknown as M;
  });
}

const encode = (value: unknown): Uint8Array => Buffer.from(kerasJson(value), 'utf8');
const member = (name: string, content: Uint8Array): ZipContent => ({
  name,
  size: content.length,
  pieces: () => [content],
});

/** `2026-05-13@21:23:40`, local time, as Keras writes it. */
function timestamp(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day}@${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

async function exists(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    () => false,
  );
}

function taken(path: string): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_IO',
    `cannot write ${path}: the file exists, and overwrite is false (EEXIST).`,
    { details: { path, errno: 'EEXIST' } },
  );
}

function checkPath(path: string): void {
  if (path.endsWith('.keras')) return;
  const help = /\.(h5|hdf5|safetensors)$/.test(path)
    ? 'models are saved as .keras; for weights alone use saveWeights (.weights.h5 or .safetensors)'
    : 'the path of a model ends in .keras';
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `save: ${help}, got ${path}.`);
}
