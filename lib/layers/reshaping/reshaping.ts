import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { emit } from '../../graph/emit.js';
import type { Tensor } from '../../graph/tensor.js';
import { shapeText } from '../../ndarray.js';
import { transpose } from '../../ops/shape.js';
import { channelsToLast, type DataFormat } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption } from '../spatial.js';

/** [N, …] becomes [N, product of the rest] (https://keras.io/api/layers/reshaping_layers/flatten/). */
export class Flatten extends Layer {
  static override readonly options: OptionTable = { dataFormat: 'value' };
  readonly dataFormat: 'channels_last' | 'channels_first';
  protected override autocast = false;

  constructor(options: LayerOptions & { dataFormat?: DataFormat } = {}) {
    super(options);
    this.dataFormat = dataFormatOption('Flatten', options.dataFormat);
    this.inputSpec = { minRank: 1 };
  }

  override call(input: Tensor): Tensor {
    const channelsFirst = this.dataFormat === 'channels_first' && input.rank > 2;
    const x = channelsFirst ? channelsToLast(input) : input;
    const width = x.dims.slice(1).reduce((product, dim) => product * dim, 1);
    return emit('reshape', [x], { shape: [x.dims[0]!, width], infer: -1 });
  }
}

/** Rows under another shape; one dimension may be -1 (https://keras.io/api/layers/reshaping_layers/reshape/). */
export class Reshape extends Layer {
  static override readonly options: OptionTable = {
    targetShape: rules.required(rules.listOf(rules.integer()), '[28, 28, 1]'),
  };
  readonly targetShape: readonly number[];
  protected override autocast = false;

  constructor(options: LayerOptions & { targetShape: readonly number[] }) {
    super(options);
    this.targetShape = options.targetShape;
    const inferred = this.targetShape.filter((dim) => dim === -1).length;
    if (inferred > 1 || !this.targetShape.every((dim) => Number.isInteger(dim) && (dim > 0 || dim === -1))) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Reshape: targetShape must be sizes without the batch, at most one of them -1, got ${shapeText(this.targetShape)}.`,
      );
    }
  }

  override call(x: Tensor): Tensor {
    const width = x.dims.slice(1).reduce((product, dim) => product * dim, 1);
    const known = this.targetShape.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
    const target = this.targetShape.map((dim) => (dim === -1 ? width / known : dim));
    if (target.reduce((product, dim) => product * dim, 1) !== width || !target.every(Number.isInteger)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (Reshape): rows of ${shapeText(x.shape)} hold ${width} numbers and don't fit ${shapeText(this.targetShape)}.`,
        { details: { layer: this.name } },
      );
    }
    return emit('reshape', [x], { shape: [x.dims[0]!, ...target], infer: -1 });
  }
}

/** Reorders the axes of a row; axes count from 1 (https://keras.io/api/layers/reshaping_layers/permute/). */
export class Permute extends Layer {
  static override readonly options: OptionTable = { dims: rules.required(rules.listOf(rules.integer()), '[2, 1]') };
  readonly dims: readonly number[];
  protected override autocast = false;

  constructor(options: LayerOptions & { dims: readonly number[] }) {
    super(options);
    this.dims = options.dims;
    if ([...this.dims].sort((a, b) => a - b).some((dim, i) => dim !== i + 1)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Permute: dims must be the axes 1 … ${this.dims.length} in some order, got ${shapeText(this.dims)}.`,
      );
    }
    this.inputSpec = { rank: this.dims.length + 1 };
  }

  override call(x: Tensor): Tensor {
    return transpose(x, [0, ...this.dims]);
  }
}
