import type { CallbackList } from '../callbacks/callback.js';
import { ChainruleError, checkOptions } from '../errors.js';
import { CheckpointFolder } from '../formats/checkpoint_folder.js';
import type { TensorFile } from '../formats/safetensors.js';
import { mapStructure } from '../graph/structure.js';
import type { Variable } from '../graph/variable.js';
import { type AnyArray, NDArray, shapeText } from '../ndarray.js';
import type { History } from './history.js';
import type { Model } from './model.js';
import type { Source } from './source.js';

/** A folder, or a folder with how often to write into it. */
export type ResumeSpec = string | ResumeOptions;

export interface ResumeOptions {
  dir: string;
  /** After each epoch (default), or also every so many steps. */
  saveFreq?: 'epoch' | number;
  /** Remove the checkpoints when fit has ended well (default false: a further call returns at once). */
  deleteCheckpoint?: boolean;
}

/** Where a training stands: `step` steps of `epoch` are done, which had `row` rows. */
export interface Position {
  epoch: number;
  step: number;
  row: number;
}

/** What a checkpoint says beside the tensors. */
interface Saved extends Position {
  version: 1;
  seed: number;
  /** Passes over streams so far: their shuffling depends on it. */
  passes: number[];
  data: { rows: number | null; batchSize: number | null };
  learningRate: number | null;
  stopped: boolean;
  history: { epoch: number[]; history: Record<string, number[]> };
  callbacks: unknown[];
  /** Name and shape of each variable, in the order of the tensors. */
  variables: string[];
}

/**
 * Makes fit survive `kill -9`: checkpoints hold all that a training step reads or writes (weights, optimizer, random
 * generators, states, metric counts), the shuffling, the position, the history and the state of callbacks, so that a
 * training that goes on ends with the bits of one that was never interrupted.
 */
export class Resume {
  readonly every: number | undefined;
  private readonly variables: Variable[] = [];
  private readonly known = new Set<Variable>();
  private saved: Saved | undefined;
  private tensors: Map<string, AnyArray> = new Map();

  private constructor(
    private readonly model: Model,
    private readonly folder: CheckpointFolder,
    private readonly options: ResumeOptions,
  ) {
    this.every = typeof options.saveFreq === 'number' ? options.saveFreq : undefined;
  }

  static async open(model: Model, spec: ResumeSpec): Promise<Resume> {
    const options = typeof spec === 'string' ? { dir: spec } : spec;
    checkOptions('fit: resume', options, ['dir', 'saveFreq', 'deleteCheckpoint']);
    const { dir, saveFreq = 'epoch' } = options;
    if (typeof dir !== 'string' || dir === '')
      throw new ChainruleError('ERR_CHAINRULE_OPTION', `fit: resume expects a folder, got ${String(dir)}.`);
    if (saveFreq !== 'epoch' && !(Number.isInteger(saveFreq) && saveFreq > 0))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `fit: saveFreq must be 'epoch' or a number of steps, got ${String(saveFreq)}.`,
      );
    const folder = await CheckpointFolder.open(dir);
    const resume = new Resume(model, folder, options);
    try {
      const file = await folder.newest();
      if (file) resume.load(file);
    } catch (error) {
      await folder.close();
      throw error;
    }
    return resume;
  }

  /** The position to go on from; undefined where nothing was saved yet. */
  get position(): Position | undefined {
    return this.saved && { epoch: this.saved.epoch, step: this.saved.step, row: this.saved.row };
  }

  get stopped(): boolean {
    return this.saved?.stopped ?? false;
  }

  /** The seed of the shuffling: that of the checkpoint, or a new one. */
  seed(fresh: number): number {
    return this.saved?.seed ?? fresh;
  }

  /** Puts back history, callbacks and the streams' passes. */
  async restore(history: History, callbacks: CallbackList, sources: readonly Source[]): Promise<void> {
    const { saved } = this;
    if (!saved) return;
    const [source] = sources;
    const data = dataOf(source!);
    if (data.rows !== saved.data.rows || data.batchSize !== saved.data.batchSize)
      throw this.foreign(
        `it is of ${saved.data.rows ?? 'a stream of'} rows in batches of ${saved.data.batchSize ?? 'its own'}, this fit has ${data.rows ?? 'a stream of'} rows in batches of ${data.batchSize ?? 'its own'}`,
      );
    history.epoch.push(...saved.history.epoch);
    for (const [name, values] of Object.entries(saved.history.history)) history.history[name] = [...values];
    sources.forEach((one, i) => {
      if (one.kind === 'stream') one.passes = saved.passes[i] ?? 0;
    });
    callbacks.setStates(mapStructure(saved.callbacks, (leaf) => this.revive(leaf)) as unknown[]);
    if (saved.learningRate !== null) this.model.optimizer.learningRate = saved.learningRate;
  }

  /** Takes in the variables of a program, and gives those that are new the saved values. */
  async attach(variables: readonly Variable[]): Promise<void> {
    const fresh = [...new Set([...variables, ...this.model.weights])].filter((variable) => !this.known.has(variable));
    if (fresh.length === 0) return;
    const first = this.variables.length;
    for (const variable of fresh) this.known.add(variable);
    this.variables.push(...fresh);
    const { saved } = this;
    if (!saved) return;
    for (const [i, variable] of fresh.entries()) {
      const described = saved.variables[first + i];
      if (described !== describe(variable))
        throw this.foreign(
          `its variable ${first + i} is ${described ?? 'missing'}, the model's is ${describe(variable)}`,
        );
    }
    await Promise.all(fresh.map((variable, i) => variable.write(this.tensors.get(`v${first + i}`)!)));
    // Callbacks may have set the rate before the first program was there.
    const rate = this.model.optimizer.learningRate;
    if (typeof rate === 'number') this.model.optimizer.learningRate = rate;
  }

  /** Writes a checkpoint; no step may be running. */
  async write(
    position: Position,
    seed: number,
    history: History,
    callbacks: CallbackList,
    sources: readonly Source[],
  ): Promise<void> {
    const tensors = new Map<string, AnyArray>();
    for (const [i, variable] of this.variables.entries()) tensors.set(`v${i}`, await variable.value());
    const keep = (leaf: unknown): unknown => {
      if (!(leaf instanceof NDArray)) return leaf;
      const name = `c${tensors.size}`;
      tensors.set(name, leaf);
      return tensorMark + name;
    };
    const rate = this.model.optimizer.learningRate;
    const saved: Saved = {
      version: 1,
      ...position,
      seed,
      // Within an epoch the pass of the training data has begun already, and begins again.
      passes: sources.map((source, i) =>
        source.kind === 'stream' ? source.passes - (i === 0 && position.step > 0 ? 1 : 0) : 0,
      ),
      data: dataOf(sources[0]!),
      learningRate: typeof rate === 'number' ? rate : null,
      stopped: this.model.stopTraining,
      history: { epoch: history.epoch, history: history.history },
      callbacks: mapStructure(await callbacks.states(), keep) as unknown[],
      variables: this.variables.map(describe),
    };
    await this.folder.write({ tensors, metadata: new Map([['training', JSON.stringify(saved, notFinite)]]) });
  }

  async close(finished: boolean): Promise<void> {
    await this.folder.close({ remove: finished && this.options.deleteCheckpoint === true });
  }

  private load({ tensors, metadata }: TensorFile): void {
    const saved = JSON.parse(metadata.get('training') ?? '{}', finite) as Saved;
    if (saved.version !== 1)
      throw this.foreign(`it has version ${String(saved.version)}, which this release cannot read`);
    this.saved = saved;
    this.tensors = tensors;
  }

  private revive(leaf: unknown): unknown {
    return typeof leaf === 'string' && leaf.startsWith(tensorMark)
      ? this.tensors.get(leaf.slice(tensorMark.length))
      : leaf;
  }

  private foreign(what: string): ChainruleError {
    return new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `fit: the checkpoint in ${this.folder.path} is of another training: ${what}. Pass another folder, or remove this one to start anew.`,
    );
  }
}

const tensorMark = '\u0000tensor:';
const numberMark = '\u0000number:';

/** JSON has no NaN and no infinity. */
function notFinite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? numberMark + String(value) : value;
}

function finite(_key: string, value: unknown): unknown {
  return typeof value === 'string' && value.startsWith(numberMark) ? Number(value.slice(numberMark.length)) : value;
}

function describe(variable: Variable): string {
  return `${variable.name} ${variable.dtype} ${shapeText(variable.shape)}`;
}

function dataOf(source: Source): Saved['data'] {
  return source.kind === 'table' ? { rows: source.rows, batchSize: source.batchSize } : { rows: null, batchSize: null };
}
