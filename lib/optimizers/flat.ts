import type { Tensor } from '../graph/tensor.js';
import { currentTrace } from '../graph/trace.js';
import type { Variable } from '../graph/variable.js';

/** Variables laid out one after the other, so that a formula runs once over all of them. */
export class Flat {
  constructor(private readonly variables: readonly Variable[]) {}

  read(): Tensor {
    const trace = currentTrace('optimizer');
    for (const variable of this.variables) trace.variables.add(variable);
    return trace.tensor(trace.graph.readGroup(this.natives));
  }

  /** Per-variable values (gradients) in the same layout. */
  pack(values: readonly Tensor[]): Tensor {
    const trace = currentTrace('optimizer');
    return trace.tensor(
      trace.graph.packGroup(
        this.natives,
        values.map((value) => trace.lift(value, 'optimizer')),
      ),
    );
  }

  write(value: Tensor): void {
    const trace = currentTrace('optimizer');
    for (const variable of this.variables) trace.variables.add(variable);
    trace.graph.updateGroup(this.natives, trace.lift(value, 'optimizer'));
  }

  private get natives(): Variable['native'][] {
    return this.variables.map((variable) => variable.native);
  }
}
