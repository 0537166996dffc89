import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { shapeText } from '../../ndarray.js';
import { add, cast, divide, logicalAnd, logicalOr, maximum, minimum, multiply, subtract } from '../../ops/math.js';
import { any } from '../../ops/reduce.js';
import { concatenate, expandDims, onesLike, reshapeDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions, type TensorStructure } from '../layer.js';

/** Layers that make one tensor of several of the same shape (or of shapes that broadcast). */
abstract class Merge extends Layer {
  constructor(options: LayerOptions = {}) {
    super(options);
    this.supportsMasking = true;
  }

  protected abstract merge(inputs: readonly Tensor[]): Tensor;

  override call(inputs: TensorStructure): Tensor {
    if (!Array.isArray(inputs) || inputs.length < 2) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (${this.className}): a list of at least 2 tensors is expected.`,
        { details: { layer: this.name } },
      );
    }
    return this.merge(this.align(inputs as Tensor[]));
  }

  /** A step counts where it counts in any input; one input without a mask makes all of them count. */
  override computeMask(inputs: TensorStructure): Tensor | undefined {
    const masks = (inputs as readonly Tensor[]).map((input) => input.mask);
    if (!masks.every((mask) => mask !== undefined)) return undefined;
    return masks.reduce((either, mask) => logicalOr(either, mask));
  }

  /** Keras aligns lower ranks behind the batch axis: [N, 4] meets [N, 3, 4] as [N, 1, 4]. */
  protected align(inputs: Tensor[]): Tensor[] {
    const rank = Math.max(...inputs.map((input) => input.rank));
    return inputs.map((input) =>
      input.rank === rank
        ? input
        : reshapeDims(input, [input.dims[0]!, ...Array<number>(rank - input.rank).fill(1), ...input.dims.slice(1)]),
    );
  }
}

const all = (op: (a: Tensor, b: Tensor) => Tensor, inputs: readonly Tensor[]): Tensor =>
  inputs.slice(1).reduce((total, input) => op(total, input), inputs[0]!);

/** Elementwise sum (https://keras.io/api/layers/merging_layers/add/). */
export class Add extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return all(add, inputs);
  }
}

/** The first minus the second. */
export class Subtract extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    if (inputs.length !== 2)
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (Subtract): exactly 2 tensors are expected, got ${inputs.length}.`,
        { details: { layer: this.name } },
      );
    return subtract(inputs[0]!, inputs[1]!);
  }
}

export class Multiply extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return all(multiply, inputs);
  }
}

export class Average extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return divide(all(add, inputs), inputs.length);
  }
}

export class Maximum extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return all(maximum, inputs);
  }
}

export class Minimum extends Merge {
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return all(minimum, inputs);
  }
}

/** Side by side along an axis (https://keras.io/api/layers/merging_layers/concatenate/). */
export class Concatenate extends Merge {
  static override readonly options: OptionTable = { axis: rules.integer() };
  readonly axis: number;

  constructor(options: LayerOptions & { axis?: number } = {}) {
    super(options);
    this.axis = options.axis ?? -1;
  }

  protected override align(inputs: Tensor[]): Tensor[] {
    if (new Set(inputs.map((input) => input.rank)).size === 1) return inputs;
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `layer "${this.name}" (Concatenate): ranks differ: ${inputs.map((input) => shapeText(input.shape)).join(', ')}.`,
      { details: { layer: this.name } },
    );
  }

  protected override merge(inputs: readonly Tensor[]): Tensor {
    return concatenate(inputs, this.axis);
  }

  /** Masks side by side like the inputs; a step counts where any of its features comes from one that counts. */
  override computeMask(inputs: TensorStructure): Tensor | undefined {
    const list = inputs as readonly Tensor[];
    if (list.every(({ mask }) => mask === undefined)) return undefined;
    const masks = list.map((input) => {
      const all = cast(onesLike(input), 'bool');
      const { mask } = input;
      if (!mask) return all;
      return mask.rank < input.rank ? logicalAnd(expandDims(mask, -1), all) : mask;
    });
    return any(concatenate(masks, this.axis), { axis: -1 });
  }
}
