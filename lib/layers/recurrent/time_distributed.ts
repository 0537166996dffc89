import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import { shapeText } from '../../ndarray.js';
import { at, reshapeDims, stack } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { type LayerSpec, resolveLayer } from '../family.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';

/** The same layer on every time step of [N, steps, …] (https://keras.io/api/layers/recurrent_layers/time_distributed/). */
export class TimeDistributed extends Layer {
  static override readonly options: OptionTable = {
    layer: { ...rules.required(rules.anything, 'layers.dense({ units: 64 })'), kind: 'layer' },
  };
  readonly layer: Layer;

  constructor(options: LayerOptions & { layer: LayerSpec }) {
    super(options);
    this.layer = resolveLayer(options.layer);
    this.supportsMasking = true;
    this.autocast = false;
  }

  override build(inputShape: Shape): void {
    this.layer.build([inputShape[0]!, ...inputShape.slice(2)]);
  }

  override call(x: Tensor, { training, mask }: CallContext): Tensor {
    const steps = x.dims[1];
    if (x.rank < 3 || !(steps! > 0)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (TimeDistributed): [N, steps, …] with a known number of steps is expected, got ${shapeText(x.shape)}.`,
        { details: { layer: this.name, got: [...x.shape] } },
      );
    }
    // A layer with statistics of its own sees each step as a batch of its own, as in Keras; for others the steps are
    // rows of one larger batch.
    return training && this.layer.trainable && this.layer.nonTrainableWeights.length > 0
      ? this.stepByStep(x, steps!, mask)
      : this.folded(x, steps!, training);
  }

  private folded(x: Tensor, steps: number, training: boolean): Tensor {
    const rows = reshapeDims(x, [x.dims[0]! * steps, ...x.dims.slice(2)]);
    const y = this.layer.apply(rows, { training });
    return reshapeDims(y, [x.dims[0]!, steps, ...y.dims.slice(1)]);
  }

  private stepByStep(x: Tensor, steps: number, mask: Tensor | undefined): Tensor {
    const outputs = Array.from({ length: steps }, (_, s) =>
      this.layer.apply(at(x, s, 1), { training: true, ...(mask && { mask: at(mask, s, 1) }) }),
    );
    return stack(outputs, 1);
  }
}
