import { ChainruleError } from '../../errors.js';
import { type Hdf5Dataset, Hdf5Group } from '../../formats/hdf5/index.js';
import type { Variable } from '../../graph/variable.js';
import { shapeText } from '../../ndarray.js';
import { hasVariables, type Saveable } from './tree.js';

/** A variable and the place of its numbers in a file. */
export interface Match {
  variable: Variable;
  dataset: Hdf5Dataset;
}

/** The folder that Keras 2.13 wrote in the place of `layers`. */
const oldContainer = '_layer_checkpoint_dependencies';
/** Groups that hold no weights of layers: state of optimizers, metrics and random generators. */
const otherState = /^(optimizer|.*(_metrics?|_tracker|metrics?|seed_generator|random_generator))$/;

/** Finds the numbers of all variables of the tree; whatever does not fit is listed in one error. */
export function matchWeights(tree: Saveable, root: Hdf5Group, label: string): Match[] {
  const matches: Match[] = [];
  const problems: string[] = [];
  const used = new Set<string>();
  matchLayer(tree, root, { matches, problems, used });
  for (const path of unusedPaths(root, used)) problems.push(`it holds "${path}", which the model does not have`);
  if (problems.length === 0) return matches;
  const shown = problems.slice(0, 12).map((problem) => `\n  - ${problem}`);
  const more = problems.length > 12 ? `\n  and ${problems.length - 12} more` : '';
  throw new ChainruleError(
    'ERR_CHAINRULE_FORMAT',
    `${label} does not fit model "${tree.layer.name}":${shown.join('')}${more}\nWeights can be loaded only into the architecture that saved them.`,
    { details: { problems } },
  );
}

interface Work {
  matches: Match[];
  problems: string[];
  /** Paths of the groups that belong to a layer. */
  used: Set<string>;
}

function matchLayer(saveable: Saveable, group: Hdf5Group | undefined, work: Work): void {
  if (group) matchOwn(saveable, group, work);
  else if (hasVariables(saveable)) {
    work.problems.push(`layer "${saveable.layer.name}" has weights, but nothing stands at "${saveable.path}"`);
    return;
  }
  const place = (child: Saveable): string =>
    saveable.path === '' ? child.path : child.path.slice(saveable.path.length + 1);
  const found = saveable.children.map((child) => group && find(group, place(child)));
  // A wrapper may keep its layer under another name: what is left is matched by order.
  const missing = saveable.children.filter((child, i) => !found[i] && hasVariables(child));
  const taken = new Set(found.map((one) => one?.path));
  const free = missing.length > 0 && group ? innerGroups(group).filter(({ path }) => !taken.has(path)) : [];
  saveable.children.forEach((child, i) => {
    const at = missing.indexOf(child);
    matchLayer(child, found[i] ?? (at >= 0 && free.length === missing.length ? free[at] : undefined), work);
  });
}

function find(group: Hdf5Group, place: string): Hdf5Group | undefined {
  return (
    group.group(place) ?? (place.startsWith('layers/') ? group.group(place.replace('layers', oldContainer)) : undefined)
  );
}

function matchOwn({ layer, variables }: Saveable, group: Hdf5Group, { matches, problems, used }: Work): void {
  const vars = group.group('vars');
  // Arrays under names of their own are read with the layer's assets.
  const names = (vars?.names() ?? []).filter((name) => !layer.loadArrays || /^\d+$/.test(name));
  if (vars) used.add(vars.path);
  if (names.length !== variables.length) {
    problems.push(
      `layer "${layer.name}" (${layer.className}) has ${variables.length} weights of its own, the file has ${names.length} at "${group.path === '' ? 'vars' : `${group.path}/vars`}"`,
    );
    return;
  }
  variables.forEach((variable, i) => {
    const dataset = vars?.dataset(String(i));
    if (!dataset) problems.push(`"${vars?.path}/${i}" (${variable.path}) is missing`);
    else if (shapeText(dataset.shape) !== shapeText(variable.shape))
      problems.push(
        `"${dataset.path}" has shape ${shapeText(dataset.shape)}, ${variable.path} has ${shapeText(variable.shape)}`,
      );
    else matches.push({ variable, dataset });
  });
}

/** The nearest groups below with variables, in the order in which Keras visits them. */
function innerGroups(group: Hdf5Group): Hdf5Group[] {
  const key = (name: string): string => (name.startsWith('_') ? `~${name}` : name);
  const names = group.names().filter((name) => name !== 'vars' && !otherState.test(name));
  return names
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .flatMap((name) => {
      const inner = group.get(name);
      if (!(inner instanceof Hdf5Group)) return [];
      return inner.has('vars') ? (countDatasets(inner) > 0 ? [inner] : []) : innerGroups(inner);
    });
}

function countDatasets(group: Hdf5Group): number {
  return group.names().reduce((total, name) => {
    const inner = group.get(name);
    return total + (inner instanceof Hdf5Group ? countDatasets(inner) : 1);
  }, 0);
}

/** Groups `…/vars` with numbers that no layer asked for. */
function unusedPaths(group: Hdf5Group, used: ReadonlySet<string>): string[] {
  return group.names().flatMap((name) => {
    if (otherState.test(name)) return [];
    const inner = group.get(name);
    if (!(inner instanceof Hdf5Group)) return group.path === '' || used.has(group.path) ? [] : [inner!.path];
    return used.has(inner.path) ? [] : unusedPaths(inner, used);
  });
}
