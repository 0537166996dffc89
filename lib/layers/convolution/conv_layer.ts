import { type Activation, type ActivationSpec, resolveActivation } from '../../activations/index.js';
import type { OptionTable } from '../../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../../constraints/index.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { add } from '../../ops/math.js';
import { reshapeDims } from '../../ops/shape.js';
import type { DataFormat, Padding, Size } from '../../ops/window.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import { Layer, type LayerOptions } from '../layer.js';
import { channelAxis, choice, dataFormatOption, sizes } from '../spatial.js';

export interface ConvLayerOptions extends LayerOptions {
  /** Sizes of the window along the spatial axes; one number means all of them. */
  kernelSize: Size;
  /** Default 1. */
  strides?: Size;
  /** Default 'valid'; Conv1D also knows 'causal'. */
  padding?: Padding | 'causal';
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
  /** Default 1; not together with strides, where the layer has both. */
  dilationRate?: Size;
  activation?: ActivationSpec;
  /** Default true. */
  useBias?: boolean;
  /** Default 'zeros'. */
  biasInitializer?: InitializerSpec;
  biasRegularizer?: RegularizerSpec;
  biasConstraint?: ConstraintSpec;
}

/** What all convolutions share: the window, the channels' place, the bias and the activation. */
export abstract class ConvLayer extends Layer {
  static override readonly options: OptionTable = {
    kernelSize: rules.required(rules.anything, '3'),
    strides: 'value',
    padding: 'value',
    dataFormat: 'value',
    dilationRate: 'value',
    activation: 'activation',
    useBias: rules.flag,
    biasInitializer: 'initializer',
    biasRegularizer: 'regularizer',
    activityRegularizer: 'regularizer',
    biasConstraint: 'constraint',
  };
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding | 'causal';
  readonly dataFormat: 'channels_last' | 'channels_first';
  readonly dilationRate: readonly number[];
  readonly activation: Activation;
  readonly useBias: boolean;
  readonly biasInitializer: Initializer;
  readonly biasRegularizer: Regularizer | undefined;
  readonly biasConstraint: Constraint | undefined;
  bias: Variable | undefined;

  constructor(
    /** Number of spatial axes. */
    readonly rank: number,
    options: ConvLayerOptions,
    paddings: readonly (Padding | 'causal')[] = ['valid', 'same'],
  ) {
    super(options);
    const name = this.className;
    this.kernelSize = sizes(name, 'kernelSize', options.kernelSize, rank);
    this.strides = sizes(name, 'strides', options.strides ?? 1, rank);
    this.padding = choice(name, 'padding', options.padding, paddings);
    this.dataFormat = dataFormatOption(name, options.dataFormat);
    this.dilationRate = sizes(name, 'dilationRate', options.dilationRate ?? 1, rank);
    this.activation = resolveActivation(options.activation);
    this.useBias = options.useBias ?? true;
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
    this.biasRegularizer = resolveRegularizer(options.biasRegularizer);
    this.biasConstraint = resolveConstraint(options.biasConstraint);
    this.inputSpec = { rank: rank + 2 };
  }

  /** Strides over a dilated window: refused by Keras, too. */
  protected refuseDilatedStrides(): void {
    if (Math.max(...this.strides) <= 1 || Math.max(...this.dilationRate) <= 1) return;
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${this.className}: strides > 1 and dilationRate > 1 cannot be combined.`,
    );
  }

  /** The number of input channels; later inputs must have as many. Undefined for a shape that the input check refuses. */
  protected channelsOf(inputShape: Shape): number | undefined {
    if (inputShape.length !== this.rank + 2) return undefined;
    const axis = channelAxis(this.dataFormat);
    const channels = knownSize(this, inputShape, axis);
    this.inputSpec = { rank: this.rank + 2, axes: { [axis]: channels } };
    return channels;
  }

  protected addBias(channels: number): void {
    if (!this.useBias) return;
    this.bias = this.addWeight('bias', [channels], {
      initializer: this.biasInitializer,
      regularizer: this.biasRegularizer,
      constraint: this.biasConstraint,
    });
  }

  protected finish(x: Tensor): Tensor {
    if (!this.bias) return this.activate(this.activation, x);
    if (this.dataFormat === 'channels_last') return this.activate(this.activation, add(x, this.bias));
    const bias = this.bias.read();
    return this.activate(
      this.activation,
      add(x, reshapeDims(bias, [...bias.dims, ...Array<number>(this.rank).fill(1)])),
    );
  }
}
