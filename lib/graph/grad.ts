import { ChainruleError } from '../errors.js';
import { computeDtype, shapeText } from '../ndarray.js';
import { emit } from './emit.js';
import { mapStructure } from './structure.js';
import { isTensor, Tensor } from './tensor.js';
import { currentTrace, type Operand } from './trace.js';
import { Variable } from './variable.js';

/** What can be differentiated towards: weights, or tensors of the active trace. */
export type Differentiable = Variable | Tensor;

export interface ValueAndGrad<T> {
  /** What the function returned (a loss of several numbers is replaced by its mean). */
  value: Tensor;
  /** The gradient of each variable or tensor, in their order; null where the value does not depend on it. */
  grads: (Tensor | null)[];
  /** What the function returned beside the loss. */
  aux: T;
}

/**
 * Runs `fn` and differentiates its result at the values current on entry. `fn` returns the loss, or [loss, aux]. A loss of
 * several numbers (one per row) counts as their mean, as Keras reduces losses. Gradients are tensors like others, so
 * calls nest.
 */
export function valueAndGrad<T = undefined>(
  fn: () => Tensor | readonly [Tensor, T],
  wrt: readonly Differentiable[],
): ValueAndGrad<T> {
  const trace = currentTrace('valueAndGrad');
  const ids = wrt.map((item) => (item instanceof Variable ? trace.read(item).id : trace.lift(item, 'valueAndGrad')));
  const result = fn();
  const [given, aux] = Array.isArray(result) ? (result as readonly [Tensor, T]) : [result as Tensor, undefined as T];
  if (!isTensor(given))
    throw new ChainruleError('ERR_CHAINRULE_GRADIENT', 'valueAndGrad: the function must return a tensor, the loss.');
  const loss = given.dtype === 'bfloat16' ? trace.tensor(trace.liftWide(given, 'valueAndGrad')) : given;
  const value =
    loss.rank === 0 ? loss : emit('reduceMean', [loss], { axes: loss.dims.map((_, i) => i), keepDims: false });
  const grads = trace.graph
    .gradients(trace.lift(value, 'valueAndGrad'), ids)
    .map((id) => (id < 0 ? null : trace.tensor(id)));
  return { value, grads, aux };
}

/** The gradients of `output`, weighted by `seed` (ones when absent), towards tensors or variables. */
export function gradients(output: Tensor, wrt: readonly Differentiable[], seed?: Tensor): (Tensor | null)[] {
  const trace = currentTrace('gradients');
  const ids = wrt.map((item) => (item instanceof Variable ? trace.read(item).id : trace.lift(item, 'gradients')));
  const seedId = seed && trace.liftWide(seed, 'gradients');
  const out = trace.liftWide(output, 'gradients');
  const found = seedId === undefined ? trace.graph.gradients(out, ids) : trace.graph.gradients(out, ids, seedId);
  return found.map((id) => (id < 0 ? null : trace.tensor(id)));
}

/** The value as it is; nothing flows back through it. */
export function stopGradient(x: Operand): Tensor {
  return emit('stopGradient', [x]);
}

/**
 * A function with a gradient of its own: `fn` returns its value and `gradient(dy)`, which gives one gradient per input
 * (as a list, or alone for one input). Both are traced at once.
 */
export function customGradient(
  fn: (...inputs: Tensor[]) => { value: Tensor; gradient: (dy: Tensor) => Tensor | readonly Tensor[] },
): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    const trace = currentTrace('customGradient');
    const { value, gradient } = fn(...inputs);
    const dy = trace.op('placeholder', [], { dtype: computeDtype(value.dtype), shape: [...value.dims] })[0]!;
    const result = gradient(dy);
    const grads = isTensor(result) ? [result] : result;
    if (grads.length !== inputs.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_GRADIENT',
        `customGradient: ${inputs.length} inputs but ${grads.length} gradients; give one for each input.`,
      );
    }
    grads.forEach((grad, i) => {
      const [got, expected] = [shapeText(grad.shape), shapeText(inputs[i]!.shape)];
      if (got !== expected)
        throw new ChainruleError(
          'ERR_CHAINRULE_GRADIENT',
          `customGradient: the gradient of input ${i} has shape ${got}, the input has ${expected}.`,
        );
    });
    return emit('customGradient', [value, dy, ...inputs, ...grads]);
  };
}

/** Every tensor of a structure with stopGradient. */
export function stopGradients<S>(structure: S): S {
  return mapStructure(structure, (leaf) => (leaf instanceof Tensor ? stopGradient(leaf) : leaf)) as S;
}
