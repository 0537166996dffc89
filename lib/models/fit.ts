import { BackupAndRestore } from '../callbacks/backup_and_restore.js';
import { type CallbackHooks, CallbackList, type FitParams } from '../callbacks/callback.js';
import type { DataInput } from '../data/columns.js';
import { Dataset } from '../data/dataset.js';
import { ChainruleError } from '../errors.js';
import { Executable } from '../graph/executable.js';
import { nextSeed } from '../graph/seed.js';
import { Trace } from '../graph/trace.js';
import { withoutNulls } from '../rules.js';
import { type EpochRun, runEpoch } from './epoch.js';
import { runTest } from './evaluate.js';
import { checkFitOptions, checkTargets, type FitOptions, fitOptionNames } from './fit_options.js';
import { History } from './history.js';
import type { Model } from './model.js';
import { buildStep, type Logs } from './programs.js';
import { Progress } from './progress.js';
import { checkTrainable } from './quantize.js';
import { Resume, type ResumeSpec } from './resume.js';
import { type Source, TableSource, toSource } from './source.js';

/** Keras's fit (https://keras.io/api/models/model_training_apis/#fit-method). */
export async function fit(
  model: Model,
  x: DataInput | Dataset,
  y: DataInput | FitOptions | undefined,
  given?: FitOptions,
): Promise<History> {
  const options = withoutNulls((x instanceof Dataset ? ((y as FitOptions | undefined) ?? given) : given) ?? {});
  checkFitOptions(options);
  if (!(x instanceof Dataset) && given === undefined) checkTargets('fit', y, fitOptionNames);
  model.needCompiled('fit');
  checkTrainable(model, 'fit');
  options.signal?.throwIfAborted();
  const end = model.beginFit();
  let resume: Resume | undefined;
  let finished = false;
  try {
    const spec = resumeSpec(options);
    resume = spec === undefined ? undefined : await Resume.open(model, spec);
    const { source, validation } = await sources(
      model,
      x,
      x instanceof Dataset ? undefined : (y as DataInput),
      options,
    );
    const history = await train(model, source, validation, options, resume).finally(() => {
      source.release();
      validation?.release();
    });
    finished = true;
    return history;
  } finally {
    end();
    await resume?.close(finished);
  }
}

async function train(
  model: Model,
  source: Source,
  validation: Source | undefined,
  options: FitOptions,
  resume: Resume | undefined,
): Promise<History> {
  const epochs = options.epochs ?? 1;
  const verbose = options.verbose === undefined || options.verbose === 'auto' ? 1 : options.verbose;
  const steps =
    source.steps === undefined ? options.stepsPerEpoch : Math.min(source.steps, options.stepsPerEpoch ?? source.steps);
  const params: FitParams = { verbose, epochs, steps };
  const callbacks = new CallbackList(callbackList(options));
  const history = new History(params);
  const progress = verbose === 0 ? undefined : new Progress(params);
  const drawn = nextSeed();
  const chosen = (source.kind === 'table' ? source.seed : undefined) ?? drawn;
  const seed = resume?.seed(chosen) ?? chosen;
  const { state, programs } = model.trainSlot;
  const program: EpochRun['program'] = async (table) => {
    const found = await programs.get(
      `${table.signature}|${model.trainableKey}|${JSON.stringify(options.classWeight ?? null)}`,
      () => buildStep(model, 'train', table, state, options.classWeight),
    );
    await resume?.attach(found.step.variables);
    return found;
  };
  const fresh = new Set<unknown>();
  callbacks.begin(model, params);
  await callbacks.call('onTrainBegin');
  const passing = validation ? [source, validation] : [source];
  const checkpoint = (epoch: number, step = 0, row = 0): Promise<void> | undefined =>
    resume?.write({ epoch, step, row }, seed, history, callbacks, passing);
  await resume?.restore(history, callbacks, passing);
  if (resume?.position && source.kind === 'table') await program(source.table);
  if (resume?.stopped) model.stopTraining = true;
  const start = resume?.position ?? { epoch: options.initialEpoch ?? 0, step: 0, row: 0 };
  if (resume?.position && source.kind === 'stream' && (start.epoch >= epochs || model.stopTraining))
    for await (const table of source.batches()) {
      await program(table);
      break;
    }
  let last: Partial<Logs> = {};
  for (let { epoch } = start; epoch < epochs && !model.stopTraining; epoch++) {
    await callbacks.call('onEpochBegin', epoch, {});
    progress?.begin(epoch);
    fresh.clear();
    let current: { logs(): Promise<Logs> } | undefined;
    const run: EpochRun = {
      source,
      epoch,
      seed,
      signal: options.signal,
      limit: options.stepsPerEpoch,
      again: epoch + 1 < epochs,
      ...(epoch === start.epoch && start.step > 0 && { from: start }),
      ...(resume?.every && {
        pause: { every: resume.every, call: async (step, row) => await checkpoint(epoch, step, row) },
      }),
      started: (job) => model.running(job),
      stopped: () => model.stopTraining,
      program: async (table) => {
        const found = await program(table);
        // Metrics start anew with each epoch, also those of programs that an aborted fit left behind.
        if (fresh.size === 0 && !run.from) await found.reset();
        fresh.add(found);
        current = found;
        return found;
      },
    };
    if (progress?.live) run.onProgress = (done) => progress.update(done, current && (() => current!.logs()));
    if (callbacks.hasBatchHooks) hookBatches(run, callbacks);
    const result = await runEpoch(run);
    if (!result.program)
      throw new ChainruleError(
        'ERR_CHAINRULE_INPUT',
        `fit: the data gave no batch in epoch ${epoch}. An iterator is used up after one pass: pass a function that makes one, () => iterate().`,
      );
    const logs = await result.program.logs();
    if (validation && validates(options.validationFreq, epoch)) {
      await callbacks.call('onTestBegin');
      const valid = await runTest(model, validation, { ...options, again: epoch + 1 < epochs });
      await callbacks.call('onTestEnd', valid);
      for (const [name, value] of Object.entries(valid)) logs[`val_${name}`] = value;
    }
    await callbacks.call('onEpochEnd', epoch, logs);
    history.add(epoch, logs);
    progress?.end(result.steps, logs);
    last = logs;
    await checkpoint(epoch + 1);
  }
  if (model.optimizer.useEma) await finalize(model);
  await callbacks.call('onTrainEnd', last);
  return history;
}

/** One callback may come without a list. */
const callbackList = ({ callbacks = [] }: FitOptions): readonly CallbackHooks[] =>
  Array.isArray(callbacks) ? (callbacks as readonly CallbackHooks[]) : [callbacks as CallbackHooks];

/** What the option says, or a BackupAndRestore among the callbacks, which is the same. */
function resumeSpec(options: FitOptions): ResumeSpec | undefined {
  const { resume } = options;
  const backup = callbackList(options).find((callback) => callback instanceof BackupAndRestore);
  if (!backup) return resume;
  if (resume !== undefined)
    throw new ChainruleError('ERR_CHAINRULE_OPTION', 'fit: resume and BackupAndRestore do the same; pass one of them.');
  const { backupDir, saveFreq, deleteCheckpoint } = backup;
  return { dir: backupDir, saveFreq, deleteCheckpoint };
}

function hookBatches(run: EpochRun, callbacks: CallbackList): void {
  run.before = async (step) => {
    await callbacks.call('onTrainBatchBegin', step, {});
    await callbacks.call('onBatchBegin', step, {});
  };
  run.after = async (step, program) => {
    const logs = await program.logs();
    await callbacks.call('onTrainBatchEnd', step, logs);
    await callbacks.call('onBatchEnd', step, logs);
  };
}

/** Weights become their moving averages at the end, as in Keras. */
async function finalize(model: Model): Promise<void> {
  const trace = new Trace(model.device);
  trace.run(() => model.optimizer.finalize(model.trainableWeights));
  await (await Executable.compile(trace, [])).run([]);
}

async function sources(
  model: Model,
  x: DataInput | Dataset,
  y: DataInput | undefined,
  options: FitOptions,
): Promise<{ source: Source; validation: Source | undefined }> {
  const all = await toSource(model, x, y, { ...options, shuffle: options.shuffle ?? true });
  const { validationData, validationSplit } = options;
  const forTest = {
    batchSize: options.validationBatchSize ?? options.batchSize,
    allowNonFinite: options.allowNonFinite,
  };
  if (validationData instanceof Dataset)
    return { source: all, validation: await toSource(model, validationData, undefined, forTest) };
  if (validationData) {
    const [vx, vy, sampleWeight] = validationData as readonly [DataInput, DataInput, DataInput?];
    return { source: all, validation: await toSource(model, vx, vy, { ...forTest, sampleWeight }) };
  }
  if (!validationSplit) return { source: all, validation: undefined };
  if (!(all instanceof TableSource))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      'fit: validationSplit needs arrays; for a Dataset pass validationData.',
    );
  const at = Math.floor(all.rows * (1 - validationSplit));
  if (at === 0 || at === all.rows) {
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `fit: validationSplit ${validationSplit} of ${all.rows} rows leaves ${at} for training and ${all.rows - at} for validation; both need at least one.`,
    );
  }
  const held = all.part(at, all.rows, false);
  const sized = new TableSource(
    held.table,
    at,
    all.rows,
    forTest.batchSize ?? 32,
    false,
    held.allowNonFinite,
    held.native,
  );
  return { source: all.part(0, at, all.shuffle), validation: sized };
}

function validates(freq: FitOptions['validationFreq'], epoch: number): boolean {
  return typeof freq === 'object' ? new Set(freq).has(epoch + 1) : (epoch + 1) % (freq ?? 1) === 0;
}
