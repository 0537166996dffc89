import type { DType } from '../native.js';
import type { Shape, Tensor } from './tensor.js';
import { currentTrace } from './trace.js';
import { Variable } from './variable.js';

/**
 * A counter or carried state by description. Which storage it means depends on the program being traced: a fit uses the
 * model's own, an evaluate that runs meanwhile gets its own.
 */
export class StateVariable {
  constructor(
    readonly name: string,
    readonly shape: readonly number[] = [],
    readonly dtype: DType = 'float32',
    readonly fill = 0,
  ) {}

  read(): Tensor {
    const trace = currentTrace(this.name);
    return trace.read(trace.state.storage(this));
  }

  assign(value: Tensor): void {
    const trace = currentTrace(this.name);
    trace.update(trace.state.storage(this), value);
  }
}

/** The storage of a set of state variables. */
export class StateBundle {
  /** Used where no program asked for its own. */
  static readonly shared = new StateBundle();
  private readonly byState = new WeakMap<StateVariable, Variable>();

  storage(state: StateVariable): Variable {
    let variable = this.byState.get(state);
    if (!variable) {
      variable = new Variable(state.name, state.shape as Shape, {
        initialValue: state.fill,
        dtype: state.dtype,
        trainable: false,
      });
      this.byState.set(state, variable);
    }
    return variable;
  }
}
