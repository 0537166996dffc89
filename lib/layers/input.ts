import type { Config, OptionTable } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import { symbolicInput } from '../graph/history.js';
import { openLength } from '../graph/open_axes.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { uniqueName } from '../names.js';
import type { DType } from '../native.js';
import { shapeText } from '../ndarray.js';
import { cast } from '../ops/operands.js';
import * as rules from '../rules.js';
import { Layer, type LayerOptions } from './layer.js';
import { known } from './precision.js';

export interface InputOptions {
  /** Shape of one row, without the batch; null for an axis of any length (time steps, the sides of images). */
  shape?: Shape;
  /** Shape with the batch: null for any, a number where it is fixed (stateful layers need that). */
  batchShape?: Shape;
  name?: string;
  /**
   * Default 'float32'. Data of other dtypes are brought to this one; what does not fit into int32 is refused. 'string' and
   * 'int64' are for layers of text and categories, which read integers up to 53 bits; other layers take int64 as it is fed.
   */
  dtype?: DType | 'string' | 'int64';
}

/** Dtypes of inputs in files → what they are here. */
const borderTypes: Record<string, DType | 'string'> = {
  float32: 'float32',
  float64: 'float32',
  float16: 'float32',
  bfloat16: 'float32',
  int64: 'int32',
  int32: 'int32',
  int16: 'int32',
  int8: 'int32',
  uint16: 'int32',
  uint32: 'uint32',
  uint8: 'uint8',
  bool: 'bool',
  string: 'string',
};

function wrongShape(given: unknown): ChainruleError {
  const got = rules.listOf(rules.anything).allows(given)
    ? `[${(given as unknown[]).map(String).join(', ')}]`
    : shown(given);
  return new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `input: shape must be ${rules.shape.expected}, got ${got}. Write input({ shape: [28, 28, 1] }).`,
  );
}

/** A shape in the place of the options, as Keras takes it, is told how to come. */
function inputOptions<O>(options: O): O {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw wrongShape(options);
  return options;
}

/** Marks the input of a sequential or functional model; it computes nothing. */
export class InputLayer extends Layer {
  static override readonly options: OptionTable = {
    shape: 'local',
    batchShape: { ...rules.shape, expected: 'the sizes of a batch, like [null, 28, 28, 1] (null: any number)' },
    dtype: 'value',
    trainable: 'local',
  };
  static override readonly neutral = { sparse: false, ragged: false, optional: false };
  readonly batchShape: Shape;
  override readonly dtype: DType | 'string';
  readonly tensor: Tensor;
  protected override autocast = false;

  constructor(options: Omit<LayerOptions, 'inputShape' | 'dtype'> & InputOptions) {
    super({ ...inputOptions(options), name: options.name ?? uniqueName('input_layer') });
    const row = options.shape ?? options.batchShape?.slice(1);
    const batch = options.batchShape?.[0] ?? null;
    if (!rules.shape.allows(row)) throw wrongShape(row);
    this.batchShape = [batch, ...row!];
    this.dtype = this.policy(options.dtype);
    const strings = this.dtype === 'string';
    this.tensor = symbolicInput(
      this,
      [batch ?? -1, ...(row as Shape).map((dim) => dim ?? openLength)],
      strings ? 'uint8' : this.dtype,
    );
    // Its numbers stay as they are fed: the engine has no integers of 64 bits, but floats hold larger ones than int32.
    if (strings || options.dtype === 'int64') this.tensor.hostDtype = options.dtype as 'string' | 'int64';
    this.built = true;
  }

  /** Integers of other widths are fed as int32, floats as float32. */
  protected override policy(dtype: LayerOptions['dtype'] = 'float32'): DType | 'string' {
    const known = typeof dtype === 'string' && Object.hasOwn(borderTypes, dtype) ? borderTypes[dtype] : undefined;
    if (known) return known;
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `input: dtype ${JSON.stringify(dtype)} is not supported; it is one of ${Object.keys(borderTypes).join(', ')}.`,
    );
  }

  override getConfig(): Config {
    return { ...super.getConfig(), dtype: this.tensor.hostDtype ?? this.dtype };
  }

  override call(x: Tensor): Tensor {
    return x;
  }

  override get output(): Tensor {
    return this.tensor;
  }

  /** Compares a tensor that is fed here with the declared shape and brings it to a declared dtype of integers. @internal */
  take(fed: Tensor, model: string): Tensor {
    const fits =
      fed.rank === this.batchShape.length &&
      this.batchShape.every(
        (dim, axis) => dim === null || axis === 0 || fed.shape[axis] === null || fed.shape[axis] === dim,
      );
    if (fits) return this.converted(fed);
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `model "${model}": input "${this.name}" expects shape ${shapeText(this.batchShape)} but got ${shapeText(fed.shape)}.`,
      { details: { layer: this.name, expected: [...this.batchShape], got: [...fed.shape] } },
    );
  }

  /** As Keras: numbers of any dtype may be fed. Where floats are declared, layers and the network widen what needs it. */
  private converted(fed: Tensor): Tensor {
    const { dtype, hostDtype } = this.tensor;
    if (hostDtype || dtype === 'float32' || fed.dtype === dtype) return fed;
    const value = known(fed, cast(fed, dtype));
    value.fedAs = fed.fedAs ?? fed;
    return value;
  }
}

/** A symbolic tensor to call layers on: the start of a functional model (https://keras.io/api/layers/core_layers/input/). */
export function input(options: InputOptions): Tensor {
  return new InputLayer(options).tensor;
}
