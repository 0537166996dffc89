export {
  customGradient,
  type Differentiable,
  gradients,
  stopGradient,
  stopGradients,
  type ValueAndGrad,
  valueAndGrad,
} from './grad.js';
export { type RematMode, RematScope, type RematScopeOptions, remat } from './remat.js';
export { setRandomSeed } from './seed.js';
export { StateBundle, StateVariable } from './state.js';
export type { Structure } from './structure.js';
export { Dimension, isSymbolic, isTensor, type Shape, Tensor } from './tensor.js';
export { type ArraysOf, compute, type TracedFunction, trace } from './traced.js';
export { Variable } from './variable.js';
