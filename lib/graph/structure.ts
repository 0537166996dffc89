/** A value, a list of structures or a record of them: how models take and give several tensors. */
export type Structure<T> = T | readonly Structure<T>[] | { readonly [name: string]: Structure<T> };

/** The structure `S` with every leaf replaced: the result type of functions that map leaves. */
export type MapStructure<S, From, To> = S extends From
  ? To
  : S extends readonly unknown[]
    ? { [K in keyof S]: MapStructure<S[K], From, To> }
    : S extends object
      ? { [K in keyof S]: MapStructure<S[K], From, To> }
      : never;

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Replaces each leaf; `path` names it (`x.0`, `x.image`). Anything that is neither list nor plain record is a leaf. */
export function mapStructure<R>(
  value: unknown,
  leaf: (item: unknown, path: string) => R,
  isLeaf: (item: unknown) => boolean = () => false,
  path = '',
): unknown {
  const inner = (key: string | number): string => (path ? `${path}.${key}` : String(key));
  if (!isLeaf(value)) {
    if (Array.isArray(value)) return value.map((item, i) => mapStructure(item, leaf, isLeaf, inner(i)));
    if (isRecord(value))
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, mapStructure(item, leaf, isLeaf, inner(key))]),
      );
  }
  return leaf(value, path);
}

/** The leaves in order, with their paths. */
export function flatten(
  value: unknown,
  isLeaf?: (item: unknown) => boolean,
  path = '',
): { item: unknown; path: string }[] {
  const leaves: { item: unknown; path: string }[] = [];
  mapStructure(value, (item, at) => leaves.push({ item, path: at }), isLeaf, path);
  return leaves;
}

/** A structure like `shape` whose leaves are taken from `items` in order. */
export function pack(shape: unknown, items: readonly unknown[], isLeaf?: (item: unknown) => boolean): unknown {
  let next = 0;
  return mapStructure(shape, () => items[next++], isLeaf);
}
