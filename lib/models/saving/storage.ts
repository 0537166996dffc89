import { bfloat16Weights, storeBfloat16 } from '../../layers/bfloat16.js';
import type { Match } from './match.js';
import { flattenTree, type Saveable } from './tree.js';

/**
 * Stores weights as bfloat16 where a file of ours holds them so. Keras's files have no word for it: their layers compute in
 * float32 and take the numbers, which they widen. Returns whether there were any, after which variables are others.
 */
export function restoreStorage(tree: Saveable, matches: readonly Match[]): boolean {
  const narrow = new Set(matches.filter(({ dataset }) => dataset.kind === 'bfloat16').map(({ variable }) => variable));
  if (narrow.size === 0) return false;
  for (const { layer } of flattenTree(tree)) {
    for (const weight of bfloat16Weights(layer))
      if (narrow.has(weight) && weight.dtype === 'float32') storeBfloat16(layer, weight);
  }
  return true;
}
