import { inspect } from 'node:util';
import { ChainruleError } from '../errors.js';
import type { DType } from '../native.js';
import { shapeText } from '../ndarray.js';
import type { Origin } from './history.js';
import type { Trace } from './trace.js';

/** Sizes by axis; `null` is the batch dimension (or a multiple of it), known only when the program runs, or an unknown length. */
export type Shape = readonly (number | null)[];

/** The batch size N while tracing: stands in shapes for reshape, zeros and random, and in formulas as a number. */
export class Dimension {
  /** Stands for `factor · N`. */
  constructor(readonly factor: number) {}

  mul(factor: number): Dimension {
    return new Dimension(this.factor * factor);
  }

  [Symbol.toPrimitive](): never {
    throw noValue(
      'a batch dimension',
      'Pass it to reshape, zeros or random as it is, or use it in a formula through ops.',
    );
  }

  [inspect.custom](): string {
    return this.factor === 1 ? 'Dimension N' : `Dimension ${this.factor}N`;
  }
}

export interface Logits {
  readonly value: Tensor;
  readonly of: 'softmax' | 'sigmoid';
  readonly axis?: number;
}

/** The handle of a value in a graph: an id with a shape and a dtype. It holds no numbers and nothing to dispose. */
export class Tensor {
  /** What a softmax or sigmoid was made of: cross-entropy uses it, which is exact where probabilities round to 0 or 1. */
  logits: Logits | undefined;
  /** Which time steps count, where a layer above made a mask. */
  mask: Tensor | undefined;
  /** The recurrent layer that gave only its last step, for messages of layers that want all of them. */
  lastStepOf: string | undefined;
  /** The dimensions with those of unknown length, where this tensor stands in for a symbolic one that has such. @internal */
  standsFor: readonly number[] | undefined;
  /** What was fed, where an input brought it to its dtype: checks find their column by it. @internal */
  fedAs: Tensor | undefined;
  /** What a symbolic tensor in the host part of a model holds: strings, or integers that need not fit the engine's. */
  hostDtype: 'string' | 'int64' | undefined;

  /** @internal Tensors come from ops, layers and `input`. */
  constructor(
    /** The trace that owns the value; none for a symbolic tensor of a functional model. */
    readonly trace: Trace | undefined,
    readonly id: number,
    /** Dimensions in the border's code: -k stands for k·N. Those of symbolic tensors may be open (open_axes.ts). */
    readonly dims: readonly number[],
    readonly dtype: DType,
    /** How a symbolic tensor came about. */
    readonly origin?: Origin,
  ) {}

  get shape(): Shape {
    return this.dims.map((dim) => (dim >= 0 ? dim : null));
  }

  /** The shape that layers are built for: as `shape`, with null for the lengths that a stand-in has here. @internal */
  get declaredShape(): Shape {
    return this.standsFor ? this.standsFor.map((dim) => (dim >= 0 ? dim : null)) : this.shape;
  }

  get rank(): number {
    return this.dims.length;
  }

  /** The name of the layer or input that made a symbolic tensor. */
  get name(): string | undefined {
    return this.origin?.node.operation.name;
  }

  [Symbol.toPrimitive](): never {
    throw noValue(
      this.describe(),
      'Compare and choose with ops.where(), or get numbers with await compute(() => …) or await step.run(…).',
    );
  }

  toJSON(): never {
    throw noValue(this.describe(), 'Get numbers with await compute(() => …) or await step.run(…).');
  }

  [inspect.custom](): string {
    return `${this.describe()} (a step of a computation; numbers exist when it runs: await compute(() => …), predict or step.run)`;
  }

  private describe(): string {
    return `Tensor ${this.dtype} ${shapeText(this.shape)}`;
  }
}

function noValue(what: string, help: string): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${what} has no value while the computation is being described: JavaScript's own operators, if, conversion to a number or string cannot use it. ${help}`,
  );
}

export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}

/** True for tensors of `input()` and what layers and ops make of them. */
export function isSymbolic(value: unknown): value is Tensor & { origin: Origin } {
  return value instanceof Tensor && value.trace === undefined;
}
