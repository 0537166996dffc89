export { Bidirectional, type BidirectionalOptions, type MergeMode } from './bidirectional.js';
export {
  type CellContext,
  RNNCell,
  type SequenceOptions,
  type SequenceResult,
  type StateSize,
  type States,
} from './cell.js';
export {
  GRUCell,
  type GRUCellOptions,
  LSTMCell,
  type LSTMCellOptions,
  type SimpleCellOptions,
  SimpleRNNCell,
} from './cells.js';
export { GRU, type GRUOptions, LSTM, type LSTMOptions, SimpleRNN, type SimpleRNNOptions } from './layers.js';
export { type RecurrentContext, RNN, type RNNOptions, SequenceLayer, type SequenceLayerOptions } from './rnn.js';
export { StackedRNNCells } from './stacked.js';
export { TimeDistributed } from './time_distributed.js';
