import { ChainruleError, checkOptions, shown } from '../errors.js';
import { flatten } from './structure.js';
import { isTensor } from './tensor.js';
import { currentTrace, type Trace } from './trace.js';

/** Which layers compute their values again for gradients; null: none. */
export type RematMode = 'full' | 'activations' | 'largerThan' | 'listOfLayers' | null;

export interface RematScopeOptions {
  /**
   * 'full' (the default): every layer; 'activations': the activation of layers that have one; 'largerThan': layers whose
   * output has more numbers per row than outputSizeThreshold; 'listOfLayers': those in layerNames; null: none.
   */
  mode?: RematMode;
  /** Numbers in a row of the output. Default 1024. */
  outputSizeThreshold?: number;
  layerNames?: readonly string[];
}

const modes: readonly RematMode[] = ['full', 'activations', 'largerThan', 'listOfLayers', null];

/**
 * A function whose inner values are not kept for the gradient but computed again from its arguments when the gradient
 * needs them: less memory for more time, and the same numbers bit for bit (keras.remat). A remat inside another belongs
 * to the outer one.
 */
export function remat<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  checkFunction('remat', fn);
  return (...args) => currentTrace('remat').segment(() => fn(...args));
}

/**
 * Layers made while `run` runs compute their values again for gradients, as keras.RematScope has it; a layer's own
 * option `remat` goes before. Scopes may be nested: the innermost counts.
 */
export class RematScope {
  readonly mode: RematMode;
  readonly outputSizeThreshold: number;
  readonly layerNames: ReadonlySet<string>;

  constructor(options: RematScopeOptions = {}) {
    checkOptions('RematScope', options, ['mode', 'outputSizeThreshold', 'layerNames']);
    this.mode = options.mode === undefined ? 'full' : options.mode;
    if (!modes.includes(this.mode))
      throw wrong(
        `RematScope: mode must be one of ${modes.map((mode) => (mode ? `'${mode}'` : 'null')).join(', ')}, got ${shown(options.mode)}.`,
      );
    const { outputSizeThreshold = 1024, layerNames = [] } = options;
    if (!(typeof outputSizeThreshold === 'number' && outputSizeThreshold >= 0))
      throw wrong(`RematScope: outputSizeThreshold must be a number >= 0, got ${shown(outputSizeThreshold)}.`);
    if (!Array.isArray(layerNames) || !layerNames.every((name) => typeof name === 'string'))
      throw wrong(`RematScope: layerNames must be a list of names, got ${shown(layerNames)}.`);
    this.outputSizeThreshold = outputSizeThreshold;
    this.layerNames = new Set(layerNames as readonly string[]);
  }

  /** Makes this the scope of layers that `fn` makes, at once: not after an await. */
  run<T>(fn: () => T): T {
    checkFunction('RematScope.run', fn);
    scopes.push(this);
    try {
      const result = fn();
      if (isThenable(result))
        throw wrong(
          'RematScope.run: the function returned a promise, but layers that it makes later would be outside of the scope. Await before run; a model from a file takes compile({ memoryBudget }), or modelFromJSON in the scope and loadWeights after it.',
        );
      return result;
    } finally {
      scopes.pop();
    }
  }

  /** The scope that layers are made in now. @internal */
  static get current(): RematScope | undefined {
    return scopes.at(-1);
  }

  /** The call of a layer, as a segment of its own where this scope says so. @internal */
  call<T>(trace: Trace, layer: string, fn: () => T): T {
    if (this.mode === 'full' || (this.mode === 'listOfLayers' && this.layerNames.has(layer))) return trace.segment(fn);
    return this.mode === 'largerThan'
      ? trace.segment(fn, (result) => numbers(result) > this.outputSizeThreshold)
      : fn();
  }
}

const scopes: RematScope[] = [];

const wrong = (message: string): ChainruleError => new ChainruleError('ERR_CHAINRULE_OPTION', message);

export function checkFunction(where: string, fn: unknown): void {
  if (typeof fn !== 'function') throw wrong(`${where}: a function is expected, got ${shown(fn)}.`);
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** Of all tensors of a structure, per row of the batch. */
function numbers(structure: unknown): number {
  return flatten(structure)
    .map((leaf) => leaf.item)
    .filter(isTensor)
    .reduce((total, { dims }) => total + dims.reduce((product, dim) => product * Math.abs(dim), 1), 0);
}
