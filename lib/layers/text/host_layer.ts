import { ChainruleError } from '../../errors.js';
import { type HostOutput, type Operation, recordHost } from '../../graph/history.js';
import { flatten, type Structure } from '../../graph/structure.js';
import { isSymbolic, type Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import type { NativeTextSource } from '../../native.js';
import { type AnyArray, type ArrayInput, type NDArray, shapeText } from '../../ndarray.js';
import { StringArray, type StringInput } from '../../strings.js';
import { InputLayer } from '../input.js';
import { type ApplyOptions, Layer, type ShapeStructure } from '../layer.js';
import { type HostValue, hostValue, type Integers } from './values.js';
import { inBackground, type Work } from './work.js';

/** What a host layer is given directly: strings or numbers, nested or not. */
export type HostInput = StringInput | ArrayInput;

/** Whether a symbolic tensor can feed a host layer. @internal */
export function isHostTensor(tensor: Tensor): boolean {
  const layer = tensor.origin?.node.operation.layer;
  return layer instanceof InputLayer || layer instanceof HostLayer;
}

/**
 * A layer that works on strings or on integers of any size, natively and off the main thread, before the traced part of a
 * model begins. It may be fed by inputs and by other host layers only.
 */
export abstract class HostLayer extends Layer {
  protected override autocast = false;

  /** What the layer gives for inputs of these shapes. */
  protected abstract hostShape(inputs: readonly Tensor[]): HostOutput;

  /** The layer's work on values. @internal */
  abstract work(inputs: readonly HostValue[]): Work<AnyArray | StringArray>;

  /** The dtype of the input that a model makes for this layer where none is declared. @internal */
  get inputDtype(): 'string' | 'int32' {
    return 'string';
  }

  /** Why the layer cannot work yet (no vocabulary), or nothing. @internal */
  get missing(): string | undefined {
    return undefined;
  }

  /**
   * The layer by itself, off the main thread: texts in, numbers out, as calling a preprocessing layer does in Keras. Layers
   * with several inputs take a list. Inverted lookups of strings give a StringArray.
   */
  async compute<O = NDArray>(data: HostInput | readonly HostInput[]): Promise<O> {
    return (await inBackground(this.process(data))) as unknown as O;
  }

  private *process(data: HostInput | readonly HostInput[]): Work<AnyArray | StringArray> {
    const value = yield* hostValue(data, `${this.name}.compute`);
    return yield* this.work([value]);
  }

  protected override recordCall(
    operation: Operation,
    inputs: Structure<Tensor | Operand>,
    _options: ApplyOptions,
  ): unknown {
    const tensors = flatten(inputs).map((leaf) => leaf.item);
    if (!tensors.every((tensor) => isSymbolic(tensor) && isHostTensor(tensor))) throw this.misplaced();
    const symbolic = tensors as Tensor[];
    const output = this.hostShape(symbolic);
    if (!this.built) {
      const shapes = symbolic.map((tensor) => tensor.shape);
      this.build((shapes.length === 1 ? shapes[0] : shapes) as ShapeStructure);
    }
    return recordHost(operation, inputs, output);
  }

  override call(): never {
    throw this.misplaced();
  }

  private misplaced(): ChainruleError {
    return new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `layer "${this.name}" (${this.className}) works on strings or raw integers before the traced part of a model: it may be fed by input() or by other such layers only, and stands in the outermost model. To use it by itself: await layer.compute(data).`,
      { details: { layer: this.name } },
    );
  }

  protected wrong(code: ChainruleError['code'], text: string): ChainruleError {
    return new ChainruleError(code, `layer "${this.name}" (${this.className}): ${text}`, {
      details: { layer: this.name },
    });
  }

  protected needReady(): void {
    if (this.missing) throw this.wrong('ERR_CHAINRULE_STATE', this.missing);
  }
}

/** Elements for native work, `rowSize` to a row. */
export function textSource(value: HostValue, rowSize = 1): NativeTextSource {
  return value instanceof StringArray
    ? { bytes: value.bytes, offsets: value.offsets, rowSize }
    : { numbers: (value as Integers).numbers, rowSize };
}

/** `[2, 3]`, for messages about values. */
export const valueShape = (value: HostValue): string => shapeText(value.shape);
