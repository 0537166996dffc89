import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { cast, float, type Operand } from './operands.js';
import { reshapeDims } from './shape.js';

export interface DotProductAttentionOptions {
  /** Added to the scores; broadcasts to [N, heads, queries, keys]. */
  bias?: Operand;
  /** Where it is false, a key is not seen; broadcasts to [N, heads, queries, keys]. */
  mask?: Operand;
  /** What the products of queries and keys are multiplied by. Default 1 / √depth. */
  scale?: number;
  /** A query sees no later keys than its own position. Default false. */
  isCausal?: boolean;
  /** A query sees keys that are less than this many positions away. Default: all. */
  slidingWindow?: number;
  /** Accepted for Keras's habit: scores are never held as a whole. */
  flashAttention?: boolean;
}

/**
 * softmax(scale · query keyᵀ + bias) value for each head, in one op that never holds all scores
 * (https://keras.io/api/ops/nn/#dot_product_attention-function). query [N, queries, heads, depth], key [N, keys, keyHeads,
 * depth], value [N, keys, keyHeads, width]; each head of keys serves heads / keyHeads neighbouring heads of queries. Gives
 * [N, queries, heads, width]. A query that may see no key looks at all of them alike.
 */
export function dotProductAttention(
  query: Operand,
  key: Operand,
  value: Operand,
  { bias, mask, scale, isCausal = false, slidingWindow }: DotProductAttentionOptions = {},
): Tensor {
  const operands = [float(query), float(key), float(value)];
  const wrong = operands.find((x) => x.rank !== 4);
  if (wrong)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `dotProductAttention: query, key and value must be [N, length, heads, size], got ${operands.map((x) => shapeText(x.shape)).join(', ')}.`,
    );
  const depth = operands[0]!.dims[3]!;
  if (bias !== undefined) operands.push(toScores('bias', float(bias)));
  if (mask !== undefined) operands.push(toScores('mask', cast(mask, 'bool')));
  return emit('attention', operands, {
    scale: scale ?? 1 / Math.sqrt(depth),
    causal: isCausal,
    slidingWindow: slidingWindow ?? 0,
    bias: bias !== undefined,
    mask: mask !== undefined,
  });
}

/** Missing leading axes become 1. */
function toScores(what: string, x: Tensor): Tensor {
  if (x.rank <= 4) return reshapeDims(x, [...Array<number>(4 - x.rank).fill(1), ...x.dims]);
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `dotProductAttention: the ${what} must broadcast to [N, heads, queries, keys], got ${shapeText(x.shape)}.`,
  );
}
