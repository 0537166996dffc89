import { layerFamily } from '../layers/index.js';
import { Functional } from './functional.js';
import { Sequential } from './sequential.js';

export type { ClassWeight } from './class_weight.js';
export { cloneModel } from './clone.js';
export type { CompileOptions } from './compile.js';
export type { EvaluateOptions } from './evaluate.js';
export type { FitOptions } from './fit_options.js';
export { Functional, type FunctionalOptions, functional } from './functional.js';
export { History } from './history.js';
export { type LoadOptions, loadModel } from './load.js';
export { Model } from './model.js';
export type { PredictOptions } from './predict.js';
export type { Logs } from './programs.js';
export { modelFromJSON, type SaveOptions } from './save.js';
export { Sequential, sequential } from './sequential.js';
export { type Batch, StepContext } from './step.js';
export type { SummaryOptions } from './summary.js';

// Models are layers, too: files may name them wherever a layer may stand.
layerFamily.add(Sequential as never).add(Functional as never);
