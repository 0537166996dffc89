import { checkRange } from '../data/checks.js';
import type { Table } from '../data/columns.js';
import { ChainruleError } from '../errors.js';
import type { NativeJob } from '../native.js';
import type { StepProgram } from './programs.js';
import type { Source, StreamSource, TableSource } from './source.js';

export interface EpochRun {
  source: Source;
  /** The step for batches like this one. */
  program: (table: Table) => Promise<StepProgram>;
  epoch: number;
  /** Of the shuffling. */
  seed: number;
  /** Steps and rows of this epoch that were done before; they are passed over. */
  from?: { step: number; row: number };
  /** Called after every so many steps, while none is running. */
  pause?: { every: number; call: (step: number, row: number) => Promise<void> };
  /** More epochs of these data follow: a device keeps a table where it fits. */
  again?: boolean;
  /** At most so many steps. */
  limit?: number;
  signal?: AbortSignal;
  /** Receives the running job, so that stopTraining can end it. */
  started?: (job: NativeJob<unknown> | undefined) => void;
  stopped?: () => boolean;
  onProgress?: (steps: number) => void;
  /** Called around every step; their presence makes the epoch go step by step. */
  before?: (step: number) => Promise<void>;
  after?: (step: number, program: StepProgram) => Promise<void>;
}

export interface EpochResult {
  steps: number;
  /** The program whose metrics counted; none when there was no batch. */
  program: StepProgram | undefined;
}

/** Runs one pass over the data: natively in one call where no hook looks at single batches. */
export async function runEpoch(run: EpochRun): Promise<EpochResult> {
  return run.source.kind === 'table' ? tableEpoch(run, run.source) : streamEpoch(run, run.source);
}

async function tableEpoch(run: EpochRun, source: TableSource): Promise<EpochResult> {
  const program = await run.program(source.table);
  await source.check(program.checks);
  const total = Math.min(source.steps, run.limit ?? source.steps);
  const options = {
    batchSize: source.batchSize,
    begin: source.begin,
    end: source.end,
    shuffle: source.shuffle,
    seed: run.seed,
    epoch: run.epoch,
    ...(run.again && { again: true }),
  };
  const { pause } = run;
  let step = run.from?.step ?? 0;
  while (step < total && !run.stopped?.()) {
    const first = step;
    const stride = run.before || run.after ? 1 : pause ? pause.every - (first % pause.every) : total;
    const steps = Math.min(stride, total - first);
    await run.before?.(first);
    const onProgress = run.onProgress && ((done: number) => run.onProgress!(first + done));
    const done = await untilStopped(run, () =>
      program.step.epoch(
        source.native,
        { ...options, firstStep: first, steps, ...(onProgress && { onProgress }) },
        run.signal,
        run.started,
      ),
    );
    // Stopped: how many steps were done is not told.
    if (!done) return { steps: run.after ? first : total, program };
    step = first + done.steps;
    await run.after?.(first, program);
    if (pause && step % pause.every === 0 && step < total) await pause.call(step, step * source.batchSize);
  }
  return { steps: step, program };
}

async function streamEpoch(run: EpochRun, source: StreamSource): Promise<EpochResult> {
  let steps = run.from?.step ?? 0;
  let skip = steps;
  let row = run.from?.row ?? 0;
  let program: StepProgram | undefined;
  for await (const table of source.batches()) {
    if (skip-- > 0) continue;
    program = await run.program(table);
    if (program.checks.length > 0) {
      const native = table.toNative();
      for (const check of program.checks) await checkRange(native, table, check);
    }
    await run.before?.(steps);
    await program.step.run(table.arrays, { rowOffset: row, checkFinite: !source.allowNonFinite, signal: run.signal });
    row += table.rows;
    steps++;
    run.onProgress?.(steps);
    await run.after?.(steps - 1, program);
    if (run.stopped?.() || steps === run.limit) break;
    if (run.pause && steps % run.pause.every === 0) await run.pause.call(steps, row);
  }
  return { steps, program };
}

/** Undefined when stopTraining ended the job; any other failure is the caller's. */
async function untilStopped<T>(run: EpochRun, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const ended = error instanceof ChainruleError && error.code === 'ERR_CHAINRULE_ABORTED';
    if (ended && run.stopped?.() && !run.signal?.aborted) return undefined;
    throw error;
  } finally {
    run.started?.(undefined);
  }
}
