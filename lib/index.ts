import './ops/index.js';
import { native } from './native.js';

// The parts of models, as factories by Keras's names and as classes
export * as activations from './activations/index.js';
export * as callbacks from './callbacks/index.js';
export { Callback } from './callbacks/index.js';
export * as constraints from './constraints/index.js';
export { Constraint } from './constraints/index.js';
// Models and data
export { normalize, type SplitOptions, splitDataset, toCategorical } from './data/arrays.js';
export { Dataset } from './data/dataset.js';
export { type PadOptions, padSequences, type TimeseriesOptions, timeseriesDatasetFromArray } from './data/sequences.js';
export {
  type Device,
  type DeviceInfo,
  listDevices,
  releaseDeviceMemory,
  setAutotune,
  setConvAlgorithm,
  setDeviceMemoryLimit,
  setFloat32MatmulPrecision,
} from './devices.js';
export type { ErrorCode } from './errors.js';
export { ChainruleError } from './errors.js';
// Tracing
export {
  type ArraysOf,
  compute,
  customGradient,
  type Differentiable,
  Dimension,
  gradients,
  type RematMode,
  RematScope,
  type RematScopeOptions,
  remat,
  type Shape,
  type Structure,
  setRandomSeed,
  stopGradient,
  Tensor,
  type TracedFunction,
  trace,
  type ValueAndGrad,
  Variable,
  valueAndGrad,
} from './graph/index.js';
export * as initializers from './initializers/index.js';
export { Initializer } from './initializers/index.js';
export * as layers from './layers/index.js';
export {
  type CallContext,
  type CellContext,
  input,
  Layer,
  type LayerOptions,
  RNNCell,
  type TensorStructure,
} from './layers/index.js';
export { type DtypePolicy, getDtypePolicy, setDtypePolicy } from './layers/precision.js';
export * as losses from './losses/index.js';
export { Loss } from './losses/index.js';
export * as metrics from './metrics/index.js';
export { Metric } from './metrics/index.js';
export {
  type Batch,
  type CompileOptions,
  cloneModel,
  type EvaluateOptions,
  type FitOptions,
  Functional,
  functional,
  History,
  type LoadOptions,
  type Logs,
  loadModel,
  Model,
  modelFromJSON,
  type PredictOptions,
  type SaveOptions,
  Sequential,
  StepContext,
  type SummaryOptions,
  sequential,
} from './models/index.js';
export type { DType, NativeInfo } from './native.js';
export { type AnyArray, type ArrayInput, NDArray, type NestedArray, type TypedArray } from './ndarray.js';
export * as ops from './ops/index.js';
export * as random from './ops/random.js';
export { SeedGenerator } from './ops/random.js';
export * as optimizers from './optimizers/index.js';
export { clipByGlobalNorm, globalNorm, Optimizer } from './optimizers/index.js';
export { type CustomObjects, type RegisterOptions, registerClass } from './registered.js';
export * as regularizers from './regularizers/index.js';
export { Regularizer } from './regularizers/index.js';
export * as schedules from './schedules/index.js';
export { LearningRateSchedule } from './schedules/index.js';
export { StringArray, type StringInput } from './strings.js';
export { setNumThreads } from './threads.js';

/** The version of the package, from the addon: the two are released together. */
export const version: string = native.info().version;
