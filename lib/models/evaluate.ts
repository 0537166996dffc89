import { type DataInput, toTable } from '../data/columns.js';
import { Dataset } from '../data/dataset.js';
import { ChainruleError } from '../errors.js';
import { anything, checkRules, flag, integer, signal, verbosity, withoutNulls } from '../rules.js';
import { runEpoch } from './epoch.js';
import { checkTargets } from './fit_options.js';
import type { Model } from './model.js';
import { buildStep, type Logs } from './programs.js';
import { format } from './progress.js';
import { type Source, TableSource, tableOptions, toSource } from './source.js';

export interface EvaluateOptions {
  /** Default 32. */
  batchSize?: number;
  sampleWeight?: DataInput;
  /** At most so many batches. */
  steps?: number;
  /** 1 or 2 writes a line to stderr. Default 0. */
  verbose?: 0 | 1 | 2 | 'auto';
  /** The results are always a record; accepted for Keras's habit. */
  returnDict?: true;
  allowNonFinite?: boolean;
  signal?: AbortSignal;
}

const evaluateRules = {
  batchSize: integer(1),
  sampleWeight: anything,
  steps: integer(1),
  verbose: verbosity,
  returnDict: flag,
  allowNonFinite: flag,
  signal,
};

/** Loss and metrics by name (https://keras.io/api/models/model_training_apis/#evaluate-method). */
export async function evaluate(
  model: Model,
  x: DataInput | Dataset,
  y: DataInput | EvaluateOptions | undefined,
  given?: EvaluateOptions,
): Promise<Logs> {
  const options = withoutNulls((x instanceof Dataset ? ((y as EvaluateOptions | undefined) ?? given) : given) ?? {});
  checkRules('evaluate', options, evaluateRules);
  if (!(x instanceof Dataset) && given === undefined) checkTargets('evaluate', y, Object.keys(evaluateRules));
  model.needCompiled('evaluate');
  options.signal?.throwIfAborted();
  const source = await toSource(model, x, x instanceof Dataset ? undefined : y, options);
  const run = { validationSteps: options.steps, signal: options.signal };
  const logs = await runTest(model, source, run).finally(() => source.release());
  if (options.verbose === 1 || options.verbose === 2) process.stderr.write(`evaluate${format(logs)}\n`);
  return logs;
}

/** One pass of test steps with metric state of its own. */
export async function runTest(
  model: Model,
  source: Source,
  options: { validationSteps?: number; signal?: AbortSignal; again?: boolean },
): Promise<Logs> {
  const slot = model.takeTestSlot();
  const fresh = new Set<unknown>();
  try {
    const { program } = await runEpoch({
      source,
      epoch: 0,
      seed: 0,
      signal: options.signal,
      limit: options.validationSteps,
      again: options.again,
      program: async (table) => {
        const found = await slot.programs.get(`${table.signature}|${model.trainableKey}`, () =>
          buildStep(model, 'test', table, slot.state),
        );
        if (fresh.size === 0) await found.reset();
        fresh.add(found);
        return found;
      },
    });
    if (!program) throw new ChainruleError('ERR_CHAINRULE_INPUT', 'evaluate: the data gave no batch.');
    return await program.logs();
  } finally {
    model.giveTestSlot(slot);
  }
}

export interface BatchOptions {
  sampleWeight?: DataInput;
  signal?: AbortSignal;
}

/** trainOnBatch and testOnBatch. */
export async function onBatch(
  model: Model,
  kind: 'train' | 'test',
  x: unknown,
  y: unknown,
  options: BatchOptions = {},
): Promise<Logs> {
  checkRules(`${kind}OnBatch`, options, { sampleWeight: anything, signal });
  model.needCompiled(`${kind}OnBatch`);
  options.signal?.throwIfAborted();
  model.buildFor(x);
  const table = await toTable({ x, y, sampleWeight: options.sampleWeight }, tableOptions(model, false));
  const slot = kind === 'train' ? model.trainSlot : model.takeTestSlot();
  try {
    const key = `${table.signature}|${model.trainableKey}${kind === 'train' ? '|null' : ''}`;
    const program = await slot.programs.get(key, () => buildStep(model, kind, table, slot.state));
    await new TableSource(table, 0, table.rows, table.rows, false, false).check(program.checks);
    await program.reset();
    await program.step.run(table.arrays, { signal: options.signal });
    return await program.logs();
  } finally {
    if (kind === 'test') model.giveTestSlot(slot);
  }
}
