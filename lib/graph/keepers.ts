import type { Variable } from './variable.js';

/** Who keeps compiled programs: a model, a traced function. */
export interface Keeper {
  /** A layer has another variable now in place of this one: programs that hold it, and what else does, are to go. */
  forget(replaced: Variable): void;
}

const keepers = new WeakMap<Variable, Set<WeakRef<Keeper>>>();
const references = new WeakMap<Keeper, WeakRef<Keeper>>();

export function noteKeeper(variable: Variable, keeper: Keeper): void {
  let reference = references.get(keeper);
  if (!reference) references.set(keeper, (reference = new WeakRef(keeper)));
  const known = keepers.get(variable);
  if (!known) keepers.set(variable, new Set([reference]));
  else if (!known.has(reference)) {
    for (const one of known) if (!one.deref()) known.delete(one);
    known.add(reference);
  }
}

/** Tells all that keep programs with this variable. */
export function forgetReplaced(variable: Variable): void {
  for (const reference of keepers.get(variable) ?? []) reference.deref()?.forget(variable);
}
