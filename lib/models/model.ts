import type { Serialized } from '../config.js';
import type { DataInput } from '../data/columns.js';
import type { Dataset } from '../data/dataset.js';
import { type Device, defaultDevice } from '../devices.js';
import { ChainruleError } from '../errors.js';
import { atLength, atTwoLengths, hasOpenAxis, openLength } from '../graph/open_axes.js';
import { StateBundle } from '../graph/state.js';
import { flatten, mapStructure } from '../graph/structure.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { currentTrace, Trace } from '../graph/trace.js';
import type { Variable } from '../graph/variable.js';
import { Layer, type LayerOptions, type ShapeStructure, type TensorStructure } from '../layers/layer.js';
import type { QuantizationMode } from '../layers/quantization.js';
import { SequenceLayer } from '../layers/recurrent/index.js';
import type { NativeJob } from '../native.js';
import type { NDArray } from '../ndarray.js';
import { add } from '../ops/math.js';
import { float } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { checkRules, integer, listOf } from '../rules.js';
import { activationsOf } from './activations.js';
import { type Compiled, type CompileOptions, compileModel } from './compile.js';
import { type CompiledLoss, type CompiledMetrics, matchOutputs } from './compiled.js';
import { type BatchOptions, type EvaluateOptions, evaluate, onBatch } from './evaluate.js';
import { fit as train } from './fit.js';
import type { FitOptions } from './fit_options.js';
import type { HostFront } from './front.js';
import type { History } from './history.js';
import { dtypeOfModel } from './model_options.js';
import type { FilePath } from './paths.js';
import { type PredictOptions, predict, RowPredictor } from './predict.js';
import { type ProfileOptions, profile } from './profile.js';
import { type Logs, type PredictProgram, ProgramCache, type StepProgram } from './programs.js';
import { checkTrainable, fitting, type QuantizeOptions, quantizedLayers, quantizeModel } from './quantize.js';
import type { SaveOptions } from './save.js';
import { describeModel } from './saving/describe.js';
import { type Batch, type StepContext, Trackers } from './step.js';
import { printSummary, type SummaryOptions } from './summary.js';

/** A test program with the metric state that it counts in. */
export interface TestSlot {
  state: StateBundle;
  programs: ProgramCache<StepProgram>;
}

/**
 * A network that trains, evaluates and predicts (https://keras.io/api/models/). Made by sequential() and functional(), or
 * by extending it with layers in properties and `call`. O is what predict gives: an NDArray, or a list or record of them.
 */
export class Model<O = NDArray> extends Layer {
  /** @internal */ readonly trackers = new Trackers();
  /** @internal */ compiled: Compiled | undefined;
  #stop = false;
  /** What stands for the loss where metrics are all there is; it is not logged. */
  #noLoss: Tensor | undefined;
  #job: NativeJob<unknown> | undefined;
  readonly #trainState = new StateBundle();
  readonly #trainPrograms = new ProgramCache<StepProgram>();
  readonly #predictPrograms = new ProgramCache<PredictProgram>();
  #idleSlots: TestSlot[] = [];
  readonly #row = new RowPredictor(this as unknown as Model);

  constructor(options: LayerOptions = {}) {
    super(options);
    this.autocast = false;
  }

  /** A dtype that is not the one that layers have anyway would have no effect. */
  protected override policy(dtype: LayerOptions['dtype']): string {
    const own = super.policy(dtype);
    if (dtype !== undefined && own !== super.policy(undefined)) throw dtypeOfModel(this.className, own);
    return own;
  }

  protected override get isModel(): boolean {
    return true;
  }

  /** Symbolic inputs and outputs, of sequential and functional models. */
  get inputs(): Tensor[] {
    return [];
  }

  get outputs(): Tensor[] {
    return [];
  }

  /** Rows of every batch, where the inputs fix them. @internal */
  get fixedBatch(): number | undefined {
    const batch = this.inputs[0]?.dims[0];
    return batch !== undefined && batch > 0 ? batch : undefined;
  }

  /** The inputs as a list, a record or one tensor, where they are known. @internal */
  get inputStructure(): unknown {
    return undefined;
  }

  /** The part that works on strings before the traced one. @internal */
  get front(): HostFront | undefined {
    return undefined;
  }

  /** Builds what only the data can tell the shape of. @internal */
  buildFor(_x: unknown): void {}

  /** Names of the outputs, for losses and metrics by name. @internal */
  get outputNames(): string[] | undefined {
    return undefined;
  }

  /** Layers of the model; those in properties, where it is a class of its own. */
  get layers(): Layer[] {
    return this.sublayers;
  }

  /** Whether the class says what a call does; one with a trainStep alone need not. @internal */
  get describesCall(): boolean {
    return this.call !== Model.prototype.call;
  }

  override call(_inputs: TensorStructure, _ctx: { training: boolean }): TensorStructure {
    throw new ChainruleError(
      'ERR_CHAINRULE_UNSUPPORTED',
      `model "${this.name}" (${this.className}) has no call(inputs, ctx); a class that extends Model describes its computation there.`,
    );
  }

  /** Makes the weights for inputs of a shape, batch included as null: `model.build([null, 20])`. */
  override build(inputShape: ShapeStructure): void {
    const shapes = inputShape as unknown;
    const isShape = (item: unknown): boolean =>
      Array.isArray(item) && item.every((dim) => dim === null || typeof dim === 'number');
    const call = (length: number, before?: number): void => {
      const trace = new Trace();
      if (before !== undefined) trace.lengths = [before, length];
      let inputs = 0;
      trace.run(() => {
        const x = mapStructure(
          shapes,
          (shape) => {
            const dims = (shape as Shape).map((dim, i) => dim ?? (i === 0 ? -1 : openLength));
            const tensor = trace.input(`x.${inputs++}`, 'float32', atLength(dims, length));
            if (hasOpenAxis(dims)) tensor.standsFor = dims;
            return tensor;
          },
          isShape,
        );
        this.call(x as TensorStructure, { training: false });
      });
    };
    const open = flatten(shapes, isShape).some(({ item }) => (item as Shape).slice(1).includes(null));
    if (open) atTwoLengths(`model "${this.name}"`, call);
    else call(0);
  }

  /** The layer of a name or at an index. */
  getLayer(which: string | number): Layer {
    const found = typeof which === 'number' ? this.layers.at(which) : this.layers.find((layer) => layer.name === which);
    if (found) return found;
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `model "${this.name}" has no layer ${typeof which === 'string' ? `"${which}"` : which}; its layers are ${this.layers.map((layer) => `"${layer.name}"`).join(', ')}.`,
    );
  }

  /** Fixes optimizer, loss and metrics for fit and evaluate. */
  compile(options: CompileOptions = {}): void {
    if (fitting.has(this as unknown as Model)) throw busy(this.name);
    const device = this.device;
    this.compiled = compileModel(options);
    if (this.device !== device) this.forgetPrograms();
    this.#trainPrograms.clear();
    this.#idleSlots = [];
  }

  /** The architecture changed: programs are traced anew. @internal */
  forgetPrograms(): void {
    this.#predictPrograms.clear();
    this.#trainPrograms.clear();
    this.#idleSlots = [];
    this.#row.forget();
  }

  /** @internal */
  forget(replaced: Variable): void {
    this.forgetPrograms();
    this.compiled?.optimizer.forget([replaced]);
  }

  /** Layers round what they give; a model only passes it on. */
  protected override get rounds(): boolean {
    return false;
  }

  /** What compile asked for; before it, the default. */
  get device(): Device {
    const device = this.compiled?.options.device ?? defaultDevice();
    return device === 'auto' && quantizedLayers(this, 'int8').length > 0 ? 'cpu' : device;
  }

  /** The optimizer of compile. */
  get optimizer(): Optimizer {
    return this.needCompiled('optimizer').optimizer;
  }

  /** @internal */
  get compiledLoss(): CompiledLoss | undefined {
    return this.compiled?.loss;
  }

  /** @internal */
  get compiledMetrics(): CompiledMetrics | undefined {
    return this.compiled?.metrics;
  }

  /** Trains on arrays or a Dataset, off the event loop. Resolves with the history of losses and metrics. */
  fit(x: DataInput, y?: DataInput, options?: FitOptions): Promise<History>;
  fit(data: Dataset, options?: FitOptions): Promise<History>;
  fit(x: DataInput | Dataset, y?: DataInput | FitOptions, options?: FitOptions): Promise<History> {
    return train(this as unknown as Model, x, y, options);
  }

  /** Loss and metrics on data, without training. It may run during a fit. */
  evaluate(x: DataInput, y?: DataInput, options?: EvaluateOptions): Promise<Logs>;
  evaluate(data: Dataset, options?: EvaluateOptions): Promise<Logs>;
  evaluate(x: DataInput | Dataset, y?: DataInput | EvaluateOptions, options?: EvaluateOptions): Promise<Logs> {
    return evaluate(this as unknown as Model, x, y, options);
  }

  /** The outputs for data, off the event loop. During a fit it waits for one step. */
  predict<P = O>(x: DataInput | Dataset, options: PredictOptions = {}): Promise<P> {
    return predict(this as unknown as Model, this.#predictPrograms, x, options) as Promise<P>;
  }

  /**
   * The output for one row on the calling thread, for models so small that a thread hop would dominate; large layers are
   * shared with threads of its own. With nested or several rows it gives an NDArray.
   */
  predictSync(row: Float32Array, out?: Float32Array): Float32Array;
  predictSync(x: DataInput): NDArray;
  predictSync(x: DataInput, out?: Float32Array): Float32Array | NDArray {
    return x instanceof Float32Array && !this.front ? this.#row.predict(x, out) : this.#row.predictRows(x);
  }

  /** Compiles what predict needs for these batch sizes before the first request. */
  async warmup(options: { batchSizes?: readonly number[] } = {}): Promise<void> {
    checkRules('warmup', options, { batchSizes: listOf(integer(1)) });
    const { batchSizes = [1, 32] } = options;
    await this.#row.warmup(this.#predictPrograms, batchSizes);
  }

  /** Sets the states that stateful recurrent layers carry from batch to batch to zero. */
  async resetState(): Promise<void> {
    const all = (layers: readonly Layer[]): Layer[] => layers.flatMap((layer) => [layer, ...all(layer.sublayers)]);
    const carriers = new Set(all(this.sublayers).filter((layer) => layer instanceof SequenceLayer && layer.stateful));
    await Promise.all([...carriers].map((layer) => (layer as SequenceLayer).resetState()));
  }

  /** One training step on one batch; metrics start anew. */
  async trainOnBatch(x: DataInput, y?: DataInput, options?: BatchOptions): Promise<Logs> {
    checkTrainable(this, 'trainOnBatch');
    const end = this.beginFit();
    try {
      return await onBatch(this as unknown as Model, 'train', x, y, options);
    } finally {
      end();
    }
  }

  /** Loss and metrics of one batch. */
  testOnBatch(x: DataInput, y?: DataInput, options?: BatchOptions): Promise<Logs> {
    return onBatch(this as unknown as Model, 'test', x, y, options);
  }

  /** The outputs of inner layers (all, or those named) for data: a record by layer name. */
  activations(
    x: DataInput,
    layerNames?: readonly string[],
    options: PredictOptions = {},
  ): Promise<Record<string, NDArray>> {
    return activationsOf(this as unknown as Model, x, layerNames, options);
  }

  /** Describes a training step; override it for your own. Returned tensors are logged as means over the epoch. */
  trainStep(batch: Batch, step: StepContext): Record<string, Tensor> {
    // A loss without reduction is logged as its mean and, as in Keras on TensorFlow, differentiated as its sum.
    let logged: Tensor | undefined;
    step.minimize(() => {
      const loss = this.forward(batch, true, step);
      logged = loss.rank === 0 ? loss : mean(loss);
      return loss.rank === 0 ? loss : sum(loss);
    });
    return { loss: step.track('loss', logged!) };
  }

  /** Describes an evaluation step. */
  testStep(batch: Batch, step: StepContext): Record<string, Tensor> {
    const loss = this.forward(batch, false, step);
    const none = this.#noLoss;
    this.#noLoss = undefined;
    return none && loss === none ? {} : { loss: step.track('loss', loss) };
  }

  /** Describes a prediction. */
  predictStep(x: TensorStructure): TensorStructure {
    return this.apply<TensorStructure>(x, { training: false });
  }

  /** The loss of compile on these outputs, with penalties of weights and activities. */
  computeLoss(batch: Batch, yPred: TensorStructure, step?: StepContext, training = true): Tensor {
    const outputs = matchOutputs(this.outputNames, batch.y, yPred, batch.sampleWeight);
    let total = this.compiledLoss?.apply(outputs, (name, value) => step?.track(name, value));
    const penalties = currentTrace('computeLoss').losses.splice(0);
    for (const weight of this.trainableWeights)
      if (weight.regularizer) penalties.push(weight.regularizer.apply(weight.read()));
    for (const penalty of penalties) total = total ? add(total, penalty) : penalty;
    if (total) return total;
    if (training)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `fit: model "${this.name}" has no loss to minimise. Pass one: model.compile({ optimizer, loss: 'mse' }).`,
      );
    if (!this.compiledMetrics?.given)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `evaluate and validation: model "${this.name}" has no loss to compute and no metrics. Pass one: model.compile({ loss: 'mse' }), or write a testStep beside trainStep.`,
      );
    this.#noLoss = float(0);
    return this.#noLoss;
  }

  private forward(batch: Batch, training: boolean, step: StepContext): Tensor {
    const yPred = this.apply<TensorStructure>(batch.x, { training });
    const loss = this.computeLoss(batch, yPred, step, training);
    this.compiledMetrics?.update(matchOutputs(this.outputNames, batch.y, yPred, batch.sampleWeight));
    return loss;
  }

  /** Set during fit: ends it after the current step; fit resolves with the history so far. */
  get stopTraining(): boolean {
    return this.#stop;
  }

  set stopTraining(value: boolean) {
    this.#stop = value;
    if (value) this.#job?.cancel();
  }

  /**
   * Where the time goes: a table of the steps of a prediction on `x` or, with labels, of a training step (the weights
   * are as before afterwards). Per step its least time, GFLOP/s of products, GB/s, and the share of what the machine
   * could do at most.
   */
  profile(x: DataInput, y?: DataInput, options?: ProfileOptions): Promise<string> {
    return profile(this as unknown as Model, x, y, options);
  }

  /**
   * Stores weights in fewer bits, for inference on the CPU: afterwards predict and evaluate use them, and the float32
   * ones are let go. 'int8' is Keras's: kernels and embeddings as int8 with a scale for each column (row), and products
   * of integers, every row of the input scaled by its largest magnitude (https://keras.io/guides/quantization_overview/).
   * 'bfloat16' halves the memory of kernels and embeddings: they are rounded to the nearest, and computed with in float32.
   */
  async quantize(mode: QuantizationMode, options: QuantizeOptions = {}): Promise<void> {
    await quantizeModel(this as unknown as Model, mode, options);
  }

  /** Prints layers, shapes and parameters; returns the text. */
  summary(options: SummaryOptions = {}): string {
    return printSummary(this as unknown as Model, options);
  }

  /**
   * Writes the model as a `.keras` file, which Keras 3 and `loadModel` open: architecture, weights, what it was compiled
   * with and the state of the optimizer. The path holds the old file or the new one, never a part; during a fit it is
   * the state between two steps (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/).
   */
  async save(path: FilePath, options: SaveOptions = {}): Promise<void> {
    const { saveModel } = await import('./save.js');
    await saveModel(this as unknown as Model, path, options);
  }

  /** The architecture in Keras's form, for JSON.stringify and modelFromJSON; without weights. */
  toJSON(): Serialized {
    return describeModel(this as unknown as Model, { compiled: false });
  }

  /** Writes all weights, as `.weights.h5` (Keras's) or `.safetensors`; the file is whole or not there. */
  async saveWeights(path: FilePath, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { saveWeights } = await import('./weights_file.js');
    await saveWeights(this as unknown as Model, path, options);
  }

  /**
   * Reads the weights of a model of the same architecture: `.weights.h5`, `.safetensors`, or those inside a `.keras` or
   * legacy `.h5` file. A file that does not fit leaves the model as it was.
   */
  async loadWeights(path: FilePath): Promise<void> {
    const { loadWeights } = await import('./weights_file.js');
    await loadWeights(this as unknown as Model, path);
  }

  /** @internal */
  needCompiled(what: string): Compiled {
    if (this.compiled) return this.compiled;
    throw new ChainruleError(
      'ERR_CHAINRULE_STATE',
      `${what}: model "${this.name}" is not compiled. Call model.compile({ optimizer, loss }) first.`,
    );
  }

  /** @internal */
  needBuilt(what: string): void {
    if (this.built) return;
    throw new ChainruleError(
      'ERR_CHAINRULE_NOT_BUILT',
      `${what}: model "${this.name}" is not built, so it has no weights yet. Give its first layer an inputShape, call model.build([null, …]), or fit it first.`,
    );
  }

  /** Whether a logged number should rise or fall, where that is known. @internal */
  metricDirection(name: string): 'up' | 'down' | undefined {
    if (name === 'loss' || name.endsWith('_loss')) return 'down';
    return this.compiledMetrics?.named.find((one) => one.name === name)?.metric.direction;
  }

  /** Makes this the one fit of the model; the result ends it. @internal */
  beginFit(): () => void {
    if (fitting.has(this as unknown as Model)) throw busy(this.name);
    fitting.add(this as unknown as Model);
    this.#stop = false;
    return () => {
      fitting.delete(this as unknown as Model);
      this.#job = undefined;
    };
  }

  /** @internal */
  running(job: NativeJob<unknown> | undefined): void {
    this.#job = job;
    if (this.#stop) job?.cancel();
  }

  /** @internal */
  get trainSlot(): TestSlot {
    return { state: this.#trainState, programs: this.#trainPrograms };
  }

  /** Test programs with metric state of their own; give the slot back afterwards. @internal */
  takeTestSlot(): TestSlot {
    return this.#idleSlots.pop() ?? { state: new StateBundle(), programs: new ProgramCache() };
  }

  /** @internal */
  giveTestSlot(slot: TestSlot): void {
    this.#idleSlots.push(slot);
  }

  /** Whether trainable weights changed since a program was made. @internal */
  get trainableKey(): string {
    return this.weights.map((weight) => (weight.trainable ? 1 : 0)).join('');
  }
}

function busy(name: string): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_BUSY',
    `model "${name}" is being fitted; await that fit (or abort it) before the next one, or before quantize. Predict and evaluate may run meanwhile.`,
  );
}
