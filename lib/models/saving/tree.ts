import type { Variable } from '../../graph/variable.js';
import { isLayer, type Layer } from '../../layers/layer.js';
import { freeName, snakeCase, snakeClass } from '../../names.js';
import { Functional } from '../functional.js';
import { Sequential } from '../sequential.js';

/** A layer at its place in a file of weights, with its own variables and the layers inside. */
export interface Saveable {
  /** From the root, as Keras walks: `layers/lstm/cell`. */
  path: string;
  layer: Layer;
  variables: readonly Variable[];
  children: Saveable[];
}

/**
 * The places of a model's weights in Keras's files: `layers` of a sequential or functional model first, then properties
 * by name, private ones last; what several places hold belongs to the first
 * (https://github.com/keras-team/keras/blob/master/keras/src/saving/saving_lib.py, _walk_saveable).
 */
export function saveableTree(root: Layer): Saveable {
  const seen = new Set<Layer>();
  const build = (layer: Layer, path: string): Saveable => {
    seen.add(layer);
    const own = layer.savedWeights;
    const children: Saveable[] = [];
    const add = (child: Layer, place: string): void => {
      if (!seen.has(child)) children.push(build(child, path === '' ? place : `${path}/${place}`));
    };
    if (layer instanceof Sequential || layer instanceof Functional) visitContainer(layer.layers, 'layers', add);
    for (const [name, value] of properties(layer)) visit(value, name, add);
    return { path, layer, variables: own, children };
  };
  return build(root, '');
}

type Add = (layer: Layer, place: string) => void;

/** Properties under Keras's names, in the order in which Keras visits them. */
function properties(layer: Layer): [string, unknown][] {
  const { savedNames } = layer.constructor as typeof Layer;
  const entries = Object.entries(layer).map(([name, value]): [string, unknown] => [
    savedNames[name] ?? snakeCase(name),
    value,
  ]);
  const key = (name: string): string => (name.startsWith('_') ? `~${name}` : name);
  return entries.sort(([a], [b]) => (key(a) < key(b) ? -1 : 1));
}

function visit(value: unknown, place: string, add: Add): void {
  // A layer as an activation is a function that knows its layer.
  const layer = typeof value === 'function' ? (value as { layer?: unknown }).layer : value;
  if (isLayer(layer)) add(layer, place);
  else if (Array.isArray(value)) visitContainer(value, place, add);
  else if (value instanceof Map) visitContainer([...value.values()], place, add);
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    visitContainer(Object.values(value), place, add);
}

function visitContainer(items: readonly unknown[], place: string, add: Add): void {
  const taken = new Map<string, true>();
  const name = (base: string): string => {
    const free = freeName(base, taken);
    taken.set(free, true);
    return `${place}/${free}`;
  };
  for (const item of items) {
    if (isLayer(item)) add(item, name(snakeClass(item.className)));
    else if (typeof item === 'object' && item !== null) {
      if (Array.isArray(item)) visitContainer(item, name('container'), add);
      else if (Object.getPrototypeOf(item) === Object.prototype)
        visitContainer(Object.values(item), name('container'), add);
    }
  }
}

/** Whether this layer or one inside has variables. */
export function hasVariables({ variables, children }: Saveable): boolean {
  return variables.length > 0 || children.some(hasVariables);
}

/** The tree as a list, in Keras's order. */
export function flattenTree(tree: Saveable): Saveable[] {
  return [tree, ...tree.children.flatMap(flattenTree)];
}
