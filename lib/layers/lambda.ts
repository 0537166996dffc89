import type { Config, OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import { isTensor, type Tensor } from '../graph/tensor.js';
import * as rules from '../rules.js';
import { type CallContext, Layer, type LayerOptions, type TensorStructure } from './layer.js';

export interface LambdaOptions extends LayerOptions {
  /** The formula: tensors in, tensors out. It is traced like a layer's call. */
  function: (inputs: never, ctx: CallContext & Record<string, unknown>) => TensorStructure;
  /** The mask of the output, or how it follows from the input's. */
  mask?: Tensor | ((inputs: TensorStructure, mask: Tensor | undefined) => Tensor | undefined);
  /** Further values that the function finds in its second argument. */
  arguments?: Readonly<Record<string, unknown>>;
}

/** A function as a layer; it has no weights (https://keras.io/api/layers/core_layers/lambda/). */
export class Lambda extends Layer {
  static override readonly options: OptionTable = {
    function: { ...rules.required(rules.anything, '(x) => x.mul(2)'), kind: 'local' },
    mask: 'local',
    arguments: 'value',
  };
  readonly function: LambdaOptions['function'];
  readonly mask: LambdaOptions['mask'];
  readonly arguments: Readonly<Record<string, unknown>>;

  constructor(options: LambdaOptions) {
    super(options);
    if (typeof options.function !== 'function')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Lambda: function must be a function of tensors, got ${typeof options.function}. A file cannot bring code: register a layer of your own instead.`,
      );
    this.function = options.function;
    this.mask = options.mask;
    this.arguments = options.arguments ?? {};
    this.supportsMasking = options.mask !== undefined;
  }

  override call(inputs: TensorStructure, ctx: CallContext): TensorStructure {
    return this.function(inputs as never, { ...this.arguments, ...ctx });
  }

  override computeMask(inputs: TensorStructure, mask: Tensor | undefined): Tensor | undefined {
    return isTensor(this.mask) ? this.mask : this.mask?.(inputs, mask);
  }

  override getConfig(): Config {
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `layer "${this.name}" (Lambda): a function cannot be written into a config. Make it a class that extends Layer and register that.`,
      { details: { layer: this.name } },
    );
  }
}
