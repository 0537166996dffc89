import type { Activation } from '../../activations/index.js';
import { type Config, checked, type OptionTable, optionTable } from '../../config.js';
import * as rules from '../../rules.js';
import { Layer } from '../layer.js';
import {
  GRUCell,
  type GRUCellOptions,
  LSTMCell,
  type LSTMCellOptions,
  type SimpleCellOptions,
  SimpleRNNCell,
} from './cells.js';
import { type DropoutRNNCell, simpleCellOptions } from './dropout_cell.js';
import { SequenceLayer, type SequenceLayerOptions } from './rnn.js';

/** A layer whose options are those of its cell and of the walk. */
export abstract class CellLayer extends SequenceLayer {
  static override readonly options: OptionTable = {
    ...simpleCellOptions,
    activityRegularizer: 'regularizer',
    implementation: 'local',
  };
  declare readonly cell: DropoutRNNCell;

  constructor(options: SequenceLayerOptions, cell: DropoutRNNCell) {
    super(options, cell);
    this.inputSpec = { rank: 3 };
  }

  get units(): number {
    return this.cell.units;
  }

  get activation(): Activation {
    return this.cell.activation;
  }

  override getConfig(): Config {
    const { name: _name, trainable: _trainable, ...ofCell } = this.cell.getConfig();
    return { ...super.getConfig(), ...ofCell };
  }
}

/** The options of a cell among those of its layer. */
export function ofCell<O extends object>(cell: abstract new (options: O) => Layer, options: O, name: string): O {
  const own = new Set(Object.keys(optionTable(cell)));
  for (const inherited of Object.keys(optionTable(Layer))) own.delete(inherited);
  const entries = Object.entries(options).filter(([key]) => own.has(key) || key === 'trainable' || key === 'dtype');
  return { ...Object.fromEntries(entries), name } as O;
}

export interface SimpleRNNOptions extends SequenceLayerOptions, SimpleCellOptions {
  /** Accepted for old files; it has no effect. */
  implementation?: number;
}

/** A fully connected cell along the time axis, in one op (https://keras.io/api/layers/recurrent_layers/simple_rnn/). */
export class SimpleRNN extends CellLayer {
  constructor(options: SimpleRNNOptions) {
    super(options, new SimpleRNNCell(ofCell(SimpleRNNCell, checked(new.target, options), 'simple_rnn_cell')));
  }

  /** Keras leaves the seed out here. */
  override getConfig(): Config {
    const { seed: _seed, ...config } = super.getConfig();
    return config;
  }
}

export interface LSTMOptions extends SequenceLayerOptions, LSTMCellOptions {
  /** Accepted for Keras's habit; it has no effect. */
  useCudnn?: boolean | 'auto';
  implementation?: number;
}

/**
 * Long short-term memory over a sequence [N, steps, features], in one op (https://keras.io/api/layers/recurrent_layers/lstm/).
 * Other activations than linear, relu, tanh, sigmoid, hardSigmoid and softsign, and recurrentDropout in training, are
 * unrolled step by step.
 */
export class LSTM extends CellLayer {
  static override readonly options: OptionTable = {
    recurrentActivation: 'activation',
    unitForgetBias: rules.flag,
    useCudnn: 'local',
  };

  constructor(options: LSTMOptions) {
    super(options, new LSTMCell(ofCell(LSTMCell, checked(new.target, options), 'lstm_cell')));
  }
}

export interface GRUOptions extends SequenceLayerOptions, GRUCellOptions {
  /** Accepted for Keras's habit; it has no effect. */
  useCudnn?: boolean | 'auto';
  implementation?: number;
}

/** Gated recurrent units over a sequence, in one op as LSTM (https://keras.io/api/layers/recurrent_layers/gru/). */
export class GRU extends CellLayer {
  static override readonly options: OptionTable = {
    recurrentActivation: 'activation',
    resetAfter: rules.flag,
    useCudnn: 'local',
  };

  constructor(options: GRUOptions) {
    super(options, new GRUCell(ofCell(GRUCell, checked(new.target, options), 'gru_cell')));
  }
}
