/** Stable codes: they are part of the public API, the text of a message is not. */
export type ErrorCode =
  | 'ERR_CHAINRULE_ABORTED'
  | 'ERR_CHAINRULE_ATTR'
  | 'ERR_CHAINRULE_BUSY'
  | 'ERR_CHAINRULE_CHECKPOINT_LOCKED'
  | 'ERR_CHAINRULE_CLOSED'
  | 'ERR_CHAINRULE_DEVICE'
  | 'ERR_CHAINRULE_DEVICE_LOST'
  | 'ERR_CHAINRULE_DEVICE_OOM'
  | 'ERR_CHAINRULE_DTYPE'
  | 'ERR_CHAINRULE_FORMAT'
  | 'ERR_CHAINRULE_GRADIENT'
  | 'ERR_CHAINRULE_INPUT'
  | 'ERR_CHAINRULE_INTERNAL'
  | 'ERR_CHAINRULE_IO'
  | 'ERR_CHAINRULE_NATIVE_LOAD'
  | 'ERR_CHAINRULE_NOT_BUILT'
  | 'ERR_CHAINRULE_OOM'
  | 'ERR_CHAINRULE_OPTION'
  | 'ERR_CHAINRULE_SHAPE'
  | 'ERR_CHAINRULE_STATE'
  | 'ERR_CHAINRULE_UNKNOWN_CLASS'
  | 'ERR_CHAINRULE_UNSAFE_LAYER'
  | 'ERR_CHAINRULE_UNSUPPORTED'
  | 'ERR_CHAINRULE_VALUE';

export interface ErrorOptions {
  /** Facts for programs: shapes, names, byte counts. */
  details?: Record<string, unknown>;
  cause?: unknown;
  /** Hides the frames above this function, so that the stack starts at the user's own line. */
  above?: (...args: never[]) => unknown;
}

/** Prints as `ChainruleError [ERR_CHAINRULE_SHAPE]: matmul: …`, as Node's own errors do. */
export class ChainruleError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    // The stack is composed from the name when it is captured; a plain name afterwards keeps `error.name` a class name.
    Object.defineProperty(this, 'name', { value: `ChainruleError [${code}]`, configurable: true, writable: true });
    Error.captureStackTrace(this, options.above ?? ChainruleError);
    void this.stack;
    this.name = 'ChainruleError';
  }

  override toString(): string {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}

/** A value as it stands in messages: what is a string looks like one. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `the string "${value.slice(0, 40)}"`;
  if (Array.isArray(value)) return listed(value) ?? `a list of ${value.length}`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const { name = 'Object' } = value.constructor ?? {};
  return name === 'Object'
    ? `an object with ${Object.keys(value).slice(0, 6).join(', ') || 'nothing'}`
    : `an object of class ${name}`;
}

/** A short list of plain values as source text. */
function listed(list: readonly unknown[]): string | undefined {
  if (list.length > 6) return undefined;
  const items = list.map((item) => {
    if (Array.isArray(item)) return listed(item);
    if (typeof item === 'string') return `"${item.slice(0, 40)}"`;
    return typeof item === 'function' || (typeof item === 'object' && item !== null) ? undefined : String(item);
  });
  return items.includes(undefined) ? undefined : `[${items.join(', ')}]`;
}

/** The candidate that a person who typed `name` probably meant. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `; did you mean "relu"?` or nothing: the tail of a message about an unknown name. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const guess = nearest(name, candidates);
  return guess === undefined ? '' : `; did you mean "${guess}"?`;
}

/** What other libraries (Keras in Python, TensorFlow.js, PyTorch) call options that have another name here. */
const habits: Readonly<Record<string, readonly string[]>> = {
  alpha: ['negativeSlope'],
  batch: ['batchSize'],
  batchesPerEpoch: ['stepsPerEpoch'],
  batchInputShape: ['inputShape', 'batchShape'],
  batchShape: ['inputShape'],
  betas: ['beta1'],
  bias: ['useBias'],
  dilation: ['dilationRate'],
  drop: ['rate'],
  dropoutRate: ['rate'],
  embeddingDim: ['outputDim'],
  eps: ['epsilon'],
  filterSize: ['kernelSize'],
  hiddenSize: ['units'],
  inputDim: ['inputShape'],
  inputSize: ['inputShape'],
  kernel: ['kernelSize'],
  lr: ['learningRate'],
  nEpochs: ['epochs'],
  nbEpoch: ['epochs'],
  neurons: ['units'],
  numEmbeddings: ['inputDim'],
  numEpochs: ['epochs'],
  outChannels: ['filters'],
  outFeatures: ['units'],
  outputSize: ['units'],
  p: ['rate'],
  prob: ['rate'],
  shape: ['inputShape'],
  size: ['units'],
  stride: ['strides'],
  validationBatches: ['validationSteps'],
  weights: ['lossWeights'],
};

/** The known option that a name from Python or another library stands for. */
function habitual(key: string, knownKeys: readonly string[]): string | undefined {
  const camel = key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return [camel, ...(Object.hasOwn(habits, camel) ? habits[camel]! : [])].find((name) => knownKeys.includes(name));
}

/** The end of a message about options: which there are. */
export const itKnows = (keys: readonly string[]): string =>
  keys.length === 0 ? ' It has none.' : ` It knows: ${[...keys].sort().join(', ')}.`;

/** Rejects what is no object of options: `dense(3)`. */
export function checkIsOptions(where: string, options: unknown, knownKeys: readonly string[]): void {
  if (options === undefined || (typeof options === 'object' && options !== null && !Array.isArray(options))) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: options come as one object, { name: value, … }, got ${shown(options)}.${itKnows(knownKeys)}`,
    { details: { where, known: knownKeys }, above: checkIsOptions },
  );
}

/** Rejects option names that `where` does not know: a misspelt option must not be ignored in silence. */
export function checkOptions(where: string, options: object | undefined, knownKeys: readonly string[]): void {
  checkIsOptions(where, options, knownKeys);
  for (const key of Object.keys(options ?? {})) {
    if (knownKeys.includes(key)) continue;
    const meant = habitual(key, knownKeys);
    const help = meant ? `; did you mean "${meant}"?` : didYouMean(key, knownKeys) || `.${itKnows(knownKeys)}`;
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: unknown option "${key}"${help}`, {
      details: { where, option: key, known: knownKeys },
      above: checkOptions,
    });
  }
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
