import { make } from '../../class_options.js';
import type { LayerSpec } from '../family.js';
import { layerFamily } from '../family.js';
import type { LayerOptions } from '../layer.js';
import { Bidirectional, type BidirectionalOptions } from './bidirectional.js';
import {
  GRUCell,
  type GRUCellOptions,
  LSTMCell,
  type LSTMCellOptions,
  type SimpleCellOptions,
  SimpleRNNCell,
} from './cells.js';
import { ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, type ConvLSTMOptions } from './conv_lstm.js';
import { GRU, type GRUOptions, LSTM, type LSTMOptions, SimpleRNN, type SimpleRNNOptions } from './layers.js';
import { RNN, type RNNOptions } from './rnn.js';
import { StackedRNNCells } from './stacked.js';
import { TimeDistributed } from './time_distributed.js';

export { Bidirectional, type BidirectionalOptions, type MergeMode } from './bidirectional.js';
export {
  type CellContext,
  RNNCell,
  type SequenceOptions,
  type SequenceResult,
  type StateSize,
  type States,
} from './cell.js';
export * from './cells.js';
export { ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, type ConvLSTMOptions } from './conv_lstm.js';
export {
  CellLayer,
  GRU,
  type GRUOptions,
  LSTM,
  type LSTMOptions,
  SimpleRNN,
  type SimpleRNNOptions,
} from './layers.js';
export { type RecurrentContext, RNN, type RNNOptions, SequenceLayer, type SequenceLayerOptions } from './rnn.js';
export { StackedRNNCells } from './stacked.js';
export { TimeDistributed } from './time_distributed.js';

layerFamily
  .add(Bidirectional)
  .add(ConvLSTM1D)
  .add(ConvLSTM2D)
  .add(ConvLSTM3D)
  .add(GRU)
  .add(GRUCell)
  .add(LSTM)
  .add(LSTMCell)
  .add(RNN)
  .add(SimpleRNN)
  .add(SimpleRNNCell)
  .add(StackedRNNCells)
  .add(TimeDistributed);

export const lstm = (options: LSTMOptions): LSTM => make(LSTM, options);
export const gru = (options: GRUOptions): GRU => make(GRU, options);
export const simpleRnn = (options: SimpleRNNOptions): SimpleRNN => make(SimpleRNN, options);
export const rnn = (options: RNNOptions): RNN => make(RNN, options);
export const convLstm1d = (options: ConvLSTMOptions): ConvLSTM1D => make(ConvLSTM1D, options);
export const convLstm2d = (options: ConvLSTMOptions): ConvLSTM2D => make(ConvLSTM2D, options);
export const convLstm3d = (options: ConvLSTMOptions): ConvLSTM3D => make(ConvLSTM3D, options);
export const lstmCell = (options: LSTMCellOptions): LSTMCell => make(LSTMCell, options);
export const gruCell = (options: GRUCellOptions): GRUCell => make(GRUCell, options);
export const simpleRnnCell = (options: SimpleCellOptions): SimpleRNNCell => make(SimpleRNNCell, options);
export const stackedRnnCells = (options: LayerOptions & { cells: readonly LayerSpec[] }): StackedRNNCells =>
  make(StackedRNNCells, options);
export const bidirectional = (options: BidirectionalOptions): Bidirectional => make(Bidirectional, options);
export const timeDistributed = (options: LayerOptions & { layer: LayerSpec }): TimeDistributed =>
  make(TimeDistributed, options);
