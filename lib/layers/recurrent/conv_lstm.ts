import { type Config, checked, type OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { Dimension, type Shape, type Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import { conv } from '../../ops/conv.js';
import { add } from '../../ops/math.js';
import { tensor } from '../../ops/operands.js';
import { at, reshapeDims, zeros } from '../../ops/shape.js';
import type { DataFormat, Padding, Size } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import { channelAxis, dataFormatOption, paddingOption, sizes } from '../spatial.js';
import type { States } from './cell.js';
import { LSTMCell, type LSTMCellOptions } from './cells.js';
import { CellLayer, ofCell } from './layers.js';
import type { SequenceLayerOptions } from './rnn.js';

export interface ConvLSTMOptions extends SequenceLayerOptions, Omit<LSTMCellOptions, 'units'> {
  /** Channels of the output and of the states. */
  filters: number;
  /** Sizes of the window along the spatial axes; one number means all of them. */
  kernelSize: Size;
  /** Of the convolution over the input. Default 1. */
  strides?: Size;
  /** Of the convolution over the input; the one over the state is always 'same'. Default 'valid'. */
  padding?: Padding;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
  /** Default 1; not together with strides. */
  dilationRate?: Size;
}

/** An LSTM cell whose products are convolutions. */
class ConvLSTMCell extends LSTMCell {
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding;
  readonly dataFormat: 'channels_last' | 'channels_first';
  readonly dilationRate: readonly number[];

  constructor(
    readonly rank: number,
    where: string,
    options: ConvLSTMOptions,
    cell: LSTMCellOptions,
  ) {
    super(cell);
    this.kernelSize = sizes(where, 'kernelSize', options.kernelSize, rank);
    this.strides = sizes(where, 'strides', options.strides ?? 1, rank);
    this.padding = paddingOption(where, options.padding);
    this.dataFormat = dataFormatOption(where, options.dataFormat);
    this.dilationRate = sizes(where, 'dilationRate', options.dilationRate ?? 1, rank);
    if (Math.max(...this.strides) > 1 && Math.max(...this.dilationRate) > 1)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${where}: strides > 1 and dilationRate > 1 cannot be combined.`,
      );
  }

  override build(inputShape: Shape): void {
    const channels = knownSize(this, inputShape, channelAxis(this.dataFormat));
    this.addWeights([...this.kernelSize, channels], [...this.kernelSize, this.units]);
  }

  /** Keras draws four masks whether or not the state has dropout. */
  protected override get maskCount(): number {
    return this.gates;
  }

  protected override get featureAxis(): number {
    return channelAxis(this.dataFormat);
  }

  protected override transform(x: Tensor, weight: Operand, which: 'input' | 'state'): Tensor {
    const { strides, padding, dilationRate, dataFormat } = this;
    const options = which === 'input' ? { strides, padding, dilationRate } : { padding: 'same' as const };
    return conv(x, weight, { ...options, dataFormat });
  }

  protected override withBias(x: Tensor): Tensor {
    if (!this.bias) return x;
    const bias = tensor(this.bias);
    const wide = [...bias.dims, ...Array<number>(this.rank).fill(1)];
    return add(x, this.dataFormat === 'channels_last' ? bias : reshapeDims(bias, wide));
  }

  /** Zeros of the size that a step's output has; the convolution itself is never run. */
  override initialState(x: Tensor): States {
    const gates = this.transform(at(x, 0, 1), this.kernel, 'input');
    const dims = [...gates.dims];
    dims[this.dataFormat === 'channels_first' ? 1 : dims.length - 1] = this.units;
    const shape = dims.map((dim) => (dim < 0 ? new Dimension(-dim) : dim));
    return [zeros(shape), zeros(shape)];
  }

  /** Convolutions have no op over the whole sequence. */
  override sequence(): undefined {
    return undefined;
  }
}

/** An LSTM over [N, steps, …, channels] whose products are convolutions. */
abstract class ConvLSTM extends CellLayer {
  static override readonly options: OptionTable = {
    units: 'local',
    filters: rules.required(rules.integer(1), '32'),
    kernelSize: rules.required(rules.anything, '3'),
    strides: 'value',
    padding: 'value',
    dataFormat: 'value',
    dilationRate: 'value',
    recurrentActivation: 'activation',
    unitForgetBias: rules.flag,
  };
  declare readonly cell: ConvLSTMCell;

  constructor(rank: number, where: string, options: ConvLSTMOptions) {
    const { filters } = checked(new.target, options);
    const own = ofCell<LSTMCellOptions>(LSTMCell, { ...options, units: filters }, 'conv_lstm_cell');
    super(options, new ConvLSTMCell(rank, where, options, { ...own, units: filters }));
    this.inputSpec = { rank: rank + 3 };
  }

  get filters(): number {
    return this.cell.units;
  }

  override getConfig(): Config {
    const { units: _units, ...config } = super.getConfig();
    const { filters, cell } = this;
    return {
      ...config,
      filters,
      kernel_size: cell.kernelSize,
      strides: cell.strides,
      padding: cell.padding,
      data_format: cell.dataFormat,
      dilation_rate: cell.dilationRate,
    };
  }
}

/** An LSTM over sequences of rows [N, steps, length, channels] (https://keras.io/api/layers/recurrent_layers/conv_lstm1d/). */
export class ConvLSTM1D extends ConvLSTM {
  constructor(options: ConvLSTMOptions) {
    super(1, 'ConvLSTM1D', options);
  }
}

/** An LSTM over sequences of images [N, steps, height, width, channels] (https://keras.io/api/layers/recurrent_layers/conv_lstm2d/). */
export class ConvLSTM2D extends ConvLSTM {
  constructor(options: ConvLSTMOptions) {
    super(2, 'ConvLSTM2D', options);
  }
}

/** An LSTM over sequences of volumes (https://keras.io/api/layers/recurrent_layers/conv_lstm3d/). */
export class ConvLSTM3D extends ConvLSTM {
  constructor(options: ConvLSTMOptions) {
    super(3, 'ConvLSTM3D', options);
  }
}
