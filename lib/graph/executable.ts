import { ChainruleError } from '../errors.js';
import type { Bound, DType, EpochOptions, NativeDataset, NativeJob, NativeProgram } from '../native.js';
import { type AnyArray, bound, NDArray } from '../ndarray.js';
import type { Tensor } from './tensor.js';
import type { Trace } from './trace.js';
import { initialize, initializeSync, type Variable } from './variable.js';

export interface ExecuteOptions {
  /** Global index of the first row: random ops depend on it, not on the split into batches. */
  rowOffset?: number;
  /** Refuse NaN and Infinity in float inputs. */
  checkFinite?: boolean;
  signal?: AbortSignal;
}

/** Waits for native work; an abort stops it at the next step boundary and rejects with the signal's reason. */
export async function finish<T>(job: NativeJob<T>, signal?: AbortSignal): Promise<T> {
  const cancel = () => job.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    if (signal?.aborted) job.cancel();
    return await job.promise;
  } catch (error) {
    if (signal?.aborted && error instanceof ChainruleError && error.code === 'ERR_CHAINRULE_ABORTED')
      throw signal.reason;
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** A compiled program with what TypeScript knows of it: its variables and the dtypes of its outputs. */
export class Executable {
  private constructor(
    readonly program: NativeProgram,
    /** All that the program reads or writes, in the order of its description. */
    readonly variables: readonly Variable[],
    private readonly dtypes: readonly DType[],
  ) {}

  /** Compiles off the main thread and gives new variables their first values. */
  static async compile(trace: Trace, outputs: readonly Tensor[]): Promise<Executable> {
    const variables = [...trace.variables];
    const [program] = await Promise.all([trace.compile(outputs), initialize(variables)]);
    return new Executable(
      program,
      variables,
      outputs.map((output) => output.dtype),
    );
  }

  static compileSync(trace: Trace, outputs: readonly Tensor[]): Executable {
    const variables = [...trace.variables];
    const program = trace.compileSync(outputs);
    initializeSync(variables);
    return new Executable(
      program,
      variables,
      outputs.map((output) => output.dtype),
    );
  }

  async run(inputs: readonly AnyArray[], { signal, ...options }: ExecuteOptions = {}): Promise<NDArray[]> {
    signal?.throwIfAborted();
    await initialize(this.variables);
    const outputs = await finish(this.program.run(inputs.map(bound), options), signal);
    return this.wrap(outputs);
  }

  runSync(inputs: readonly AnyArray[], options: Omit<ExecuteOptions, 'signal'> = {}): NDArray[] {
    return this.wrap(this.program.runSync(inputs.map(bound), options));
  }

  /** Steps of an epoch in native code; `started` receives the job so that others may stop it. */
  async epoch(
    dataset: NativeDataset,
    options: EpochOptions,
    signal?: AbortSignal,
    started?: (job: NativeJob<unknown>) => void,
  ): Promise<{ steps: number; outputs: NDArray[] }> {
    signal?.throwIfAborted();
    await initialize(this.variables);
    const job = this.program.epoch(dataset, options);
    started?.(job);
    const { steps, outputs } = await finish(job, signal);
    return { steps, outputs: this.wrap(outputs) };
  }

  /** Typed as floats, as nearly all results are; those of integer ops carry their dtype. */
  private wrap(outputs: readonly Bound[]): NDArray[] {
    return outputs.map(({ data, shape }, i) => new NDArray(data, shape, this.dtypes[i]) as AnyArray as NDArray);
  }
}
