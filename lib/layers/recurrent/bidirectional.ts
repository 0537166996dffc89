import type { Config, OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Structure } from '../../graph/structure.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import type { ArrayInput } from '../../ndarray.js';
import { add, divide, multiply } from '../../ops/math.js';
import { float } from '../../ops/operands.js';
import { concatenate, flip, reshape } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { type LayerSpec, resolveLayer } from '../family.js';
import { Layer, type LayerOptions, type MaskOf, type TensorStructure } from '../layer.js';
import { type RecurrentContext, SequenceLayer } from './rnn.js';

export type MergeMode = 'concat' | 'sum' | 'mul' | 'ave' | null;

export interface BidirectionalOptions extends LayerOptions {
  /** A recurrent layer; a copy of it walks forward. */
  layer: LayerSpec;
  /** How the two outputs become one; null gives both. Default 'concat'. */
  mergeMode?: MergeMode;
  /** Walks backward; a copy of `layer` that goes the other way when absent. */
  backwardLayer?: LayerSpec;
  /** Values of the weights of both, forward ones first, set when they are built. */
  weights?: readonly ArrayInput[];
}

/** A recurrent layer in both directions of time (https://keras.io/api/layers/recurrent_layers/bidirectional/). */
export class Bidirectional extends Layer {
  static override readonly callArguments: readonly string[] = ['initialState', 'mask', 'training'];
  static override readonly options: OptionTable = {
    layer: { ...rules.required(rules.anything, 'layers.lstm({ units: 64 })'), kind: 'layer' },
    mergeMode: 'nullable',
    backwardLayer: 'layer',
    weights: 'local',
  };
  readonly forwardLayer: SequenceLayer;
  readonly backwardLayer: SequenceLayer;
  readonly mergeMode: MergeMode;
  #start: readonly ArrayInput[] | undefined;

  constructor(options: BidirectionalOptions) {
    super(options);
    const layer = walker(options.layer, 'layer');
    this.mergeMode = options.mergeMode === undefined ? 'concat' : options.mergeMode;
    if (!['concat', 'sum', 'mul', 'ave', null].includes(this.mergeMode))
      throw this.refuse(`mergeMode must be 'concat', 'sum', 'mul', 'ave' or null, got ${String(this.mergeMode)}`);
    this.forwardLayer = copyOf(layer, 'forward_', {});
    this.backwardLayer = options.backwardLayer
      ? walker(options.backwardLayer, 'backwardLayer')
      : copyOf(layer, 'backward_', { go_backwards: true });
    const [forward, backward] = [this.forwardLayer, this.backwardLayer];
    if (forward.goBackwards === backward.goBackwards)
      throw this.refuse(`the two layers must have different goBackwards, both have ${forward.goBackwards}`);
    for (const name of ['stateful', 'returnSequences', 'returnState'] as const) {
      if (forward[name] !== backward[name])
        throw this.refuse(`the two layers differ in ${name}: ${forward[name]} and ${backward[name]}`);
    }
    for (const one of [forward, backward]) one.zeroOutputForMask = one.returnSequences;
    this.inputSpec = layer.inputSpec;
    this.#start = options.weights;
  }

  /** The forward layer, as it stands in files. */
  get layer(): SequenceLayer {
    return this.forwardLayer;
  }

  get stateful(): boolean {
    return this.forwardLayer.stateful;
  }

  get returnSequences(): boolean {
    return this.forwardLayer.returnSequences;
  }

  get returnState(): boolean {
    return this.forwardLayer.returnState;
  }

  override build(inputShape: Shape): void {
    this.forwardLayer.build(inputShape);
    this.backwardLayer.build(inputShape);
    if (!this.#start) return;
    const { weights } = this;
    if (weights.length !== this.#start.length)
      throw this.refuse(`weights must hold ${weights.length} arrays, got ${this.#start.length}`);
    for (const [i, variable] of weights.entries()) {
      const value = this.#start[i]!;
      variable.setInitialValue((shape) => reshape(float(value), shape));
    }
    this.#start = undefined;
  }

  override computeMask(_inputs: TensorStructure, mask: Tensor | undefined): MaskOf {
    const own = this.returnSequences ? mask : undefined;
    return this.mergeMode === null ? [own, own] : own;
  }

  override call(x: Tensor, { initialState, mask, training }: RecurrentContext): TensorStructure {
    const states = initialState as readonly Structure<Tensor | Operand>[] | undefined;
    const half = states ? Math.floor(states.length / 2) : 0;
    const walk = (layer: SequenceLayer, own: unknown): { output: Tensor; states: Structure<Tensor>[] } => {
      const result = layer.apply<TensorStructure>(x, {
        training,
        ...(mask && { mask }),
        ...(own !== undefined && { initialState: own }),
      });
      const [output, ...rest] = (this.returnState ? result : [result]) as [Tensor, ...Structure<Tensor>[]];
      return { output, states: rest };
    };
    const forward = walk(this.forwardLayer, states?.slice(0, half));
    const backward = walk(this.backwardLayer, states?.slice(half));
    const back = this.returnSequences ? flip(backward.output, 1) : backward.output;
    const merged = this.merge(forward.output, back);
    if (!this.returnSequences)
      for (const output of merged)
        output.lastStepOf = `"${this.name}" (${this.className} of "${this.forwardLayer.name}")`;
    const all = [...merged, ...forward.states, ...backward.states];
    return all.length === 1 ? all[0]! : all;
  }

  private merge(a: Tensor, b: Tensor): Tensor[] {
    switch (this.mergeMode) {
      case 'concat':
        return [concatenate([a, b], -1)];
      case 'sum':
        return [add(a, b)];
      case 'ave':
        return [divide(add(a, b), 2)];
      case 'mul':
        return [multiply(a, b)];
      case null:
        return [a, b];
    }
  }

  async resetState(): Promise<void> {
    await Promise.all([this.forwardLayer.resetState(), this.backwardLayer.resetState()]);
  }

  private refuse(why: string): ChainruleError {
    return new ChainruleError('ERR_CHAINRULE_OPTION', `Bidirectional: ${why}.`);
  }
}

function walker(spec: LayerSpec, option: string): SequenceLayer {
  const layer = resolveLayer(spec);
  if (layer instanceof SequenceLayer) return layer;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `Bidirectional: ${option} must be a recurrent layer (lstm, gru, simpleRnn, rnn, …), got a ${layer.className}.`,
  );
}

/** A fresh layer of the same config under another name, without the weights of the given one. */
function copyOf(layer: SequenceLayer, prefix: string, changes: Config): SequenceLayer {
  const name = prefix + (layer.name.startsWith(prefix) ? layer.name.slice(prefix.length) : layer.name);
  const cls = layer.constructor as unknown as { fromConfig(config: Config): SequenceLayer };
  return cls.fromConfig({ ...layer.getConfig(), name, ...changes });
}
