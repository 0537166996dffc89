import { gelu } from '../../activations/index.js';
import { type Tensor, trace, Variable } from '../../graph/index.js';
import * as layers from '../../layers/index.js';
import { sparseCategoricalCrossentropy } from '../../losses/index.js';
import { Model } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import * as ops from '../../ops/index.js';
import { integers, uniform } from '../data.js';
import { callContender, type Ready, trainingContender, type Workload } from '../workload.js';
import { withFixedWeights } from './models.js';

const VOCABULARY = 65;

interface Size {
  layers: number;
  width: number;
  heads: number;
  context: number;
}

/** Keys and values of the positions so far, [1, context, heads, depth], and where the next one goes. */
interface Cache {
  keys: Variable;
  values: Variable;
  position: Tensor;
}

class Block extends layers.Layer {
  readonly norm1 = layers.layerNormalization({ epsilon: 1e-5, center: false });
  readonly qkv: layers.Dense;
  readonly project: layers.Dense;
  readonly norm2 = layers.layerNormalization({ epsilon: 1e-5, center: false });
  readonly wide: layers.Dense;
  readonly narrow: layers.Dense;

  constructor(readonly size: Size) {
    super();
    const dense = (units: number) => layers.dense({ units, useBias: false });
    this.qkv = dense(3 * size.width);
    this.project = dense(size.width);
    this.wide = dense(4 * size.width);
    this.narrow = dense(size.width);
  }

  override call(inputs: layers.TensorStructure): Tensor {
    return this.step(inputs as Tensor);
  }

  step(x: Tensor, cache?: Cache): Tensor {
    const { width, heads } = this.size;
    const length = x.dims[1]!;
    const [q, k, v] = ops
      .split(this.qkv.apply(this.norm1.apply(x)), 3, -1)
      .map((part) => ops.reshape(part, [-1, length, heads, width / heads])) as [Tensor, Tensor, Tensor];
    const seen = cache ? this.seen(q, k, v, cache) : ops.dotProductAttention(q, k, v, { isCausal: true });
    const y = ops.add(x, this.project.apply(ops.reshape(seen, [-1, length, width])));
    return ops.add(y, this.narrow.apply(gelu(this.wide.apply(this.norm2.apply(y)))));
  }

  /** One query against all positions so far; the cache takes the new ones. */
  private seen(q: Tensor, k: Tensor, v: Tensor, { keys, values, position }: Cache): Tensor {
    const places = ops.arange(this.size.context);
    const here = ops.reshape(ops.equal(places, position), [1, -1, 1, 1]);
    const [allKeys, allValues] = [ops.where(here, k, keys.read()), ops.where(here, v, values.read())];
    keys.assign(allKeys);
    values.assign(allValues);
    return ops.dotProductAttention(q, allKeys, allValues, { mask: ops.lessEqual(places, position) });
  }
}

/** A small GPT: normalization before each part, no biases, the head tied to the table of tokens. */
class LanguageModel extends Model {
  readonly tokens: Variable;
  readonly positions: Variable;
  readonly blocks: Block[];
  readonly norm = layers.layerNormalization({ epsilon: 1e-5, center: false });

  constructor(readonly size: Size) {
    super();
    const table = (name: string, seed: number, rows: number) =>
      new Variable(name, [rows, size.width], {
        initialValue: new NDArray(
          uniform(seed, rows, size.width).map((value) => value * 0.02),
          [rows, size.width],
        ),
      });
    this.tokens = table('tokens', 900, VOCABULARY);
    this.positions = table('positions', 901, size.context);
    this.blocks = Array.from({ length: size.layers }, () => new Block(size));
  }

  override call(inputs: layers.TensorStructure): Tensor {
    const ids = inputs as Tensor;
    let x = ops.add(
      ops.take(this.tokens.read(), ids),
      ops.slice(this.positions.read(), [0, 0], [ids.dims[1]!, this.size.width]),
    );
    for (const block of this.blocks) x = block.apply(x);
    return this.head(x);
  }

  /** The most likely token behind `token` [1] at `position` []. */
  next(token: Tensor, position: Tensor, caches: readonly Omit<Cache, 'position'>[]): Tensor {
    const { width } = this.size;
    const row = ops.add(
      ops.take(this.tokens.read(), token),
      ops.take(this.positions.read(), ops.reshape(position, [1])),
    );
    let x = ops.reshape(row, [1, 1, width]);
    this.blocks.forEach((block, i) => {
      x = block.step(x, { ...caches[i]!, position });
    });
    return ops.reshape(ops.argmax(this.head(x), { axis: -1 }), [1]);
  }

  private head(x: Tensor): Tensor {
    return ops.matmul(this.norm.apply(x), this.tokens.read(), { transposeB: true });
  }
}

async function languageModel(size: Size): Promise<LanguageModel> {
  const model = new LanguageModel(size);
  model.compile({ optimizer: 'adam', loss: sparseCategoricalCrossentropy({ fromLogits: true }) });
  model.build([null, size.context]);
  return withFixedWeights(model, (kernel) => 1000 + 10 * Math.floor(kernel / 4) + (kernel % 4));
}

const TOKENS = 200;

/** Greedy tokens one by one, each fed to the next step, from an empty cache. */
async function decoding(weights: 'float32' | 'bfloat16'): Promise<Ready> {
  const size = { layers: 6, width: 384, heads: 6, context: 256 };
  const model = await languageModel(size);
  if (weights === 'bfloat16') await model.quantize(weights);
  const shape = [1, size.context, size.heads, size.width / size.heads];
  const cache = (name: string) => new Variable(name, shape, { trainable: false });
  const caches = model.blocks.map((_, i) => ({ keys: cache(`keys_${i}`), values: cache(`values_${i}`) }));
  const step = trace(
    ({ token, position }: { token: Tensor; position: Tensor }) => model.next(token, position, caches),
    { batch: false },
  );
  return {
    units: TOKENS,
    call: async () => {
      let token = new NDArray(new Int32Array(1), [1]);
      for (let position = 0; position < TOKENS; position++) {
        const next: unknown = await step.run({ token, position: new NDArray(Int32Array.of(position), []) });
        token = next as typeof token;
      }
    },
  };
}

/** Rows of 65 tokens: all but the last as input, all but the first as target. */
function text() {
  const [rows, length] = [12, 64];
  const ids = integers(1, VOCABULARY, rows, length + 1);
  const part = (offset: number) =>
    Int32Array.from({ length: rows * length }, (_, i) => ids[i + Math.floor(i / length) + offset]!);
  return { x: new NDArray(part(0), [rows, length]), y: new NDArray(part(1), [rows, length]) };
}

export const babyGpt: Workload = {
  id: 'W13',
  name: 'baby GPT',
  units: [
    {
      name: 'tr',
      what: 'a training step of 12 texts of 64 tokens',
      flop: 3.96e9,
      contender: () =>
        trainingContender({
          build: () => languageModel({ layers: 4, width: 128, heads: 4, context: 64 }),
          batch: text,
          steps: 4,
        }),
    },
    {
      name: 'decode',
      what: 'a greedy token with a cache of keys and values, 10.6 M parameters',
      flop: 21.3e6,
      bytes: 42.6e6,
      contender: () => callContender(() => decoding('float32')),
    },
    {
      name: 'decode-bf16',
      what: 'the same with weights stored as bfloat16',
      flop: 21.3e6,
      bytes: 21.4e6,
      contender: () => callContender(() => decoding('bfloat16')),
    },
  ],
};
