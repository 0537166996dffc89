import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Tensor } from '../../graph/tensor.js';
import { shapeText } from '../../ndarray.js';
import { einsum } from '../../ops/einsum.js';
import { normalize } from '../../ops/reduce.js';
import { expandDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions, type TensorStructure } from '../layer.js';

export interface DotOptions extends LayerOptions {
  /** The axis to sum over, of both inputs or of each; not the batch. */
  axes: number | readonly [number, number];
  /** Bring both inputs to L2 norm 1 along it: the cosine of the angle between them. Default false. */
  normalize?: boolean;
}

/** Sums of products of two tensors, row by row (https://keras.io/api/layers/merging_layers/dot/). */
export class Dot extends Layer {
  static override readonly options: OptionTable = {
    axes: rules.required(rules.orList(rules.integer()), '1'),
    normalize: rules.flag,
  };
  readonly axes: number | readonly [number, number];
  readonly normalize: boolean;

  constructor(options: DotOptions) {
    super(options);
    this.axes = options.axes;
    this.normalize = options.normalize ?? false;
    this.supportsMasking = true;
  }

  override call(inputs: TensorStructure): Tensor {
    if (!Array.isArray(inputs) || inputs.length !== 2)
      throw this.wrong('ERR_CHAINRULE_VALUE', 'a list of exactly 2 tensors is expected');
    const pair = inputs as [Tensor, Tensor];
    const given = typeof this.axes === 'number' ? [this.axes, this.axes] : this.axes;
    const axes = pair.map((x, i) => (given[i]! < 0 ? given[i]! + x.rank : given[i]!)) as [number, number];
    if (axes.some((axis, i) => !(axis > 0 && axis < pair[i]!.rank)) || pair[0].dims[axes[0]] !== pair[1].dims[axes[1]])
      throw this.wrong(
        'ERR_CHAINRULE_SHAPE',
        `axes [${given}] of ${pair.map((x) => shapeText(x.shape)).join(' and ')} must exist, have the same size and not be the batch`,
      );
    const [a, b] = this.normalize
      ? [normalize(pair[0], { axis: axes[0], epsilon: 1e-7 }), normalize(pair[1], { axis: axes[1], epsilon: 1e-7 })]
      : pair;
    // z is the batch, s the axis that is summed over.
    const first = [...'zabcdefg'.slice(0, a.rank)];
    const second = [...'zhijklmn'.slice(0, b.rank)];
    first[axes[0]] = second[axes[1]] = 's';
    const output = [...first, ...second.slice(1)].filter((letter) => letter !== 's');
    const product = einsum(`${first.join('')},${second.join('')}->${output.join('')}`, a, b);
    return product.rank === 1 ? expandDims(product, 1) : product;
  }

  override computeMask(): undefined {
    return undefined;
  }

  private wrong(code: 'ERR_CHAINRULE_VALUE' | 'ERR_CHAINRULE_SHAPE', why: string): ChainruleError {
    return new ChainruleError(code, `layer "${this.name}" (Dot): ${why}.`, { details: { layer: this.name } });
  }
}
