import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';

/** What a built layer accepts: the check behind the message that names the layer and both shapes. */
export interface InputSpec {
  rank?: number;
  minRank?: number;
  /** Axis (negative from the end) to required size. */
  axes?: Readonly<Record<number, number>>;
}

/** Throws when the tensor does not fit, naming the layer, what it was built for and what arrived. */
export function checkInput(layer: { name: string; className: string }, spec: InputSpec, input: Tensor): void {
  const { shape } = input;
  const who = `layer "${layer.name}" (${layer.className})`;
  const wrong = (text: string) =>
    new ChainruleError('ERR_CHAINRULE_SHAPE', text, {
      details: { layer: layer.name, got: [...shape], expected: { ...spec } },
    });
  if (spec.rank !== undefined && shape.length !== spec.rank) {
    throw wrong(
      `${who} expects ${spec.rank} dimensions, batch included, but got shape ${shapeText(shape)}. ${rankHelp(spec.rank, input)}`,
    );
  }
  if (spec.minRank !== undefined && shape.length < spec.minRank) {
    throw wrong(
      `${who} expects at least ${spec.minRank} dimensions, batch included, but got shape ${shapeText(shape)}. ${rankHelp(spec.minRank, input)}`,
    );
  }
  for (const [key, size] of Object.entries(spec.axes ?? {})) {
    const axis = Number(key);
    const got = shape.at(axis);
    if (got === size || got === null) continue;
    const expected = shape.map((dim, i) => (i === (axis < 0 ? axis + shape.length : axis) ? size : dim));
    throw wrong(
      `${who} was built for inputs with ${size} features on axis ${axis}, shape ${shapeText(expected)}, but got ${shapeText(shape)}. Check inputShape and the data, or flatten first.`,
    );
  }
}

function rankHelp(rank: number, { shape, lastStepOf }: Tensor): string {
  if (shape.length < rank && lastStepOf)
    return `Layer ${lastStepOf} before it gives only its last time step; with returnSequences: true it gives all of them.`;
  if (shape.length < rank && rank === 3)
    return 'Sequences are [N, steps, features]: one row needs its batch axis, and single features an axis of their own.';
  if (shape.length < rank) return 'One row still needs its batch axis ([row]); images need a channel axis.';
  return 'Flatten or pool before it (layers.flatten(), layers.globalAveragePooling2d()).';
}
