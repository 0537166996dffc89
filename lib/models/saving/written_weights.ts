import type { WrittenDataset, WrittenGroup } from '../../formats/hdf5/index.js';
import type { Variable } from '../../graph/variable.js';
import { type AnyArray, computeDtype } from '../../ndarray.js';
import type { Optimizer } from '../../optimizers/optimizer.js';
import { flattenTree, type Saveable } from './tree.js';

/** The groups of a file of weights, as Keras's H5IOStore makes them: `<path>/vars/0`, `1`, … for every layer. */
export function weightGroups(
  tree: Saveable,
  optimizer: Optimizer | undefined,
  values: ReadonlyMap<Variable, AnyArray>,
): WrittenGroup {
  const root: WrittenGroup = { members: new Map() };
  for (const { path, layer, variables } of flattenTree(tree)) {
    const vars = put(root, path, layer.name, variables, values);
    for (const [name, { dtype, shape, data }] of layer.savedArrays?.() ?? [])
      vars.members.set(name, { kind: computeDtype(dtype), shape, read: () => data });
  }
  if (optimizer) put(root, 'optimizer', optimizer.name, optimizer.variables, values);
  return root;
}

function put(
  root: WrittenGroup,
  path: string,
  name: string,
  variables: readonly Variable[],
  values: ReadonlyMap<Variable, AnyArray>,
): WrittenGroup {
  const vars = groupAt(root, path === '' ? 'vars' : `${path}/vars`);
  vars.attributes = { name };
  variables.forEach((variable, i) => {
    vars.members.set(String(i), dataset(variable, values.get(variable)!));
  });
  return vars;
}

function groupAt(root: WrittenGroup, path: string): WrittenGroup {
  return path.split('/').reduce((group, name) => {
    const known = group.members.get(name);
    if (known && 'members' in known) return known;
    const made: WrittenGroup = { members: new Map() };
    group.members.set(name, made);
    return made;
  }, root);
}

function dataset({ name, shape, dtype }: Variable, { data }: AnyArray): WrittenDataset {
  // Keras counts the iterations of an optimizer in 64 bits.
  return { kind: name === 'iteration' ? 'int64' : dtype, shape, read: () => data };
}
