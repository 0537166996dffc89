import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Structure } from '../../graph/structure.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import { flip } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { type LayerSpec, resolveLayer } from '../family.js';
import type { LayerOptions, TensorStructure } from '../layer.js';
import {
  type CellContext,
  RNNCell,
  type SequenceOptions,
  type SequenceResult,
  type StateSize,
  type States,
} from './cell.js';

/** Cells on top of each other as one cell: the output of each is the input of the next (https://keras.io/api/layers/recurrent_layers/stacked_rnn_cell/). */
export class StackedRNNCells extends RNNCell {
  static override readonly options: OptionTable = {
    cells: {
      ...rules.required({ expected: 'a list of cells', allows: Array.isArray }, '[layers.lstmCell({ units: 64 })]'),
      kind: 'layers',
    },
  };
  readonly cells: readonly RNNCell[];

  constructor(options: LayerOptions & { cells: readonly LayerSpec[] }) {
    super(options);
    this.cells = options.cells.map((spec) => toCell(spec, 'StackedRNNCells'));
    if (this.cells.length === 0)
      throw new ChainruleError('ERR_CHAINRULE_OPTION', 'StackedRNNCells: cells must hold at least one cell.');
  }

  override get stateSize(): StateSize {
    return this.cells.map((cell) => cell.stateSize);
  }

  override get outputSize(): number {
    return this.cells.at(-1)!.outputSize;
  }

  override build(inputShape: Shape): void {
    let shape = inputShape;
    for (const cell of this.cells) {
      cell.build(shape);
      shape = [shape[0]!, cell.outputSize];
    }
  }

  /** A cell with one state keeps it as such, not in a list. */
  override initialState(x: Tensor): States {
    return this.cells.map((cell) => {
      const states = cell.initialState(x);
      return typeof cell.stateSize === 'number' ? states[0]! : states;
    });
  }

  override beginSequence(): void {
    for (const cell of this.cells) cell.beginSequence();
  }

  override endSequence(): void {
    for (const cell of this.cells) cell.endSequence();
  }

  override call(x: Tensor, { states, training }: CellContext): TensorStructure {
    let output = x;
    const next = this.cells.map((cell, i) => {
      const own = asList(states[i]!);
      const [value, after] = callCell(cell, output, own, training);
      output = value;
      return typeof cell.stateSize === 'number' ? after[0]! : after;
    });
    return [output, next];
  }

  /** Layer by layer instead of step by step: the same numbers, since steps that do not count are those of all cells. */
  override sequence(x: Tensor, states: States | undefined, options: SequenceOptions): SequenceResult | undefined {
    const turned = options.backwards && this.cells.length > 1;
    const mask = turned && options.mask ? flip(options.mask, 1) : options.mask;
    let input = turned ? flip(x, 1) : x;
    const last = this.cells.length - 1;
    const all: Structure<Tensor>[] = [];
    let result: SequenceResult | undefined;
    for (const [i, cell] of this.cells.entries()) {
      result = cell.sequence(input, states && asList(states[i]!), {
        mask,
        training: options.training,
        backwards: options.backwards && !turned,
        zeroOutput: options.zeroOutput && i === last,
      });
      if (!result) return undefined;
      input = result.sequence;
      all.push(typeof cell.stateSize === 'number' ? result.states[0]! : result.states);
    }
    return result && { ...result, states: all };
  }
}

const asList = (states: Structure<Tensor>): States => (Array.isArray(states) ? states : [states as Tensor]);

/** One step: the output and the new states as a list. */
export function callCell(cell: RNNCell, x: Tensor, states: States, training: boolean): [Tensor, States] {
  const [output, next] = cell.apply<TensorStructure>(x, { states, training }) as readonly [Tensor, Structure<Tensor>];
  return [output, asList(next)];
}

/** A cell from what an option may hold. */
export function toCell(spec: LayerSpec | undefined, where: string): RNNCell {
  const cell = spec && resolveLayer(spec);
  if (cell instanceof RNNCell) return cell;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: a cell must be an RNNCell (layers.lstmCell({ units }), …, or a class that extends RNNCell), got ${cell ? `a ${cell.className}` : String(spec)}.`,
  );
}
