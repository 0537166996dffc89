import { functional, input, type Layer, layers, type Model, ops, sequential, type Tensor } from '../../../lib/index.js';

/** A small model around a layer, for the way to Keras and back. */
export interface RoundTrip {
  /** A layer for a sequential model, or the outputs of a functional one. */
  layer?: () => Layer;
  /** Where the layer takes several inputs or stands among others. */
  graph?: (inputs: Tensor[]) => Tensor | Tensor[];
  /** Shapes of rows. */
  input: number[] | number[][];
  /** The axes of rows that the model leaves open: null in the declared shapes. */
  open?: number[];
  dtype?: 'int32' | 'string';
  /** Of strings: what is fed, input by input. */
  texts?: string[][][];
  /** Numbers for the inputs; by default between −1 and 1. */
  values?: (i: number) => number;
  /** Done to the layer before it is saved. */
  prepare?: (model: Model) => Promise<void>;
  /** Rows of the input; default 3. */
  rows?: number;
}

const [sequence, image, volume] = [
  [7, 3],
  [8, 9, 2],
  [5, 6, 4, 2],
];
const of = (layer: () => Layer, shape: number[], more: Partial<RoundTrip> = {}): RoundTrip => ({
  layer,
  input: shape,
  ...more,
});
const two = (
  graph: (a: Tensor, b: Tensor) => Tensor,
  shape: number[] = [4],
  more: Partial<RoundTrip> = {},
): RoundTrip => ({
  graph: ([a, b]) => graph(a!, b!),
  input: [shape, shape],
  ...more,
});
const integers = (below: number) => ({ dtype: 'int32' as const, values: (i: number) => (i * 7) % below });

const strings = (...texts: string[][][]) => ({ dtype: 'string' as const, texts });
const words = [
  ['one', 'two'],
  ['three', ''],
  ['dé', 'one'],
];

/** By class name. A class may have several rows: `Dense`, `Dense with rules`. */
export const cases: Record<string, RoundTrip> = {
  Dense: of(() => layers.dense({ units: 5, activation: 'gelu' }), [4]),
  'Dense in int8': of(() => layers.dense({ units: 5, activation: 'relu' }), [9], {
    prepare: (model) => model.quantize('int8'),
  }),
  'Embedding in int8': of(() => layers.embedding({ inputDim: 6, outputDim: 5 }), [4], {
    ...integers(6),
    prepare: (model) => model.quantize('int8'),
  }),
  'EinsumDense in int8': of(
    () => layers.einsumDense({ equation: 'abc,cde->abde', outputShape: [null, 2, 3], biasAxes: 'de' }),
    [4, 5],
    { prepare: (model) => model.quantize('int8') },
  ),
  'EinsumDense in int8 over two axes': of(
    () => layers.einsumDense({ equation: 'abcd,cde->abe', outputShape: [null, 3] }),
    [4, 5, 2],
    { prepare: (model) => model.quantize('int8') },
  ),
  'Dense in bfloat16': of(() => layers.dense({ units: 5, activation: 'relu' }), [9], {
    prepare: (model) => model.quantize('bfloat16'),
  }),
  'LSTM in bfloat16': of(() => layers.lstm({ units: 5 }), [3, 4], { prepare: (model) => model.quantize('bfloat16') }),
  'Dense with rules': of(
    () =>
      layers.dense({
        units: 5,
        useBias: false,
        activation: 'softplus',
        kernelInitializer: 'heNormal',
        kernelRegularizer: { class_name: 'L1L2', config: { l1: 0.1, l2: 0.2 } } as never,
        kernelConstraint: { class_name: 'MaxNorm', config: { max_value: 2, axis: 0 } } as never,
        activityRegularizer: 'l2',
        trainable: false,
      }),
    [4],
  ),
  EinsumDense: of(() => layers.einsumDense({ equation: 'abc,cd->abd', outputShape: [null, 4], biasAxes: 'd' }), [7, 3]),
  'Embedding of any length': of(() => layers.embedding({ inputDim: 10, outputDim: 4, maskZero: true }), [6], {
    ...integers(10),
    open: [0],
  }),
  Embedding: of(() => layers.embedding({ inputDim: 10, outputDim: 4, maskZero: true }), [6], integers(10)),
  Masking: {
    graph: ([x]) => layers.lstm({ units: 3 }).apply(layers.masking({ maskValue: 0 }).apply(x!)),
    input: sequence,
    values: (i) => (i % 21 > 14 ? 0 : Math.sin(i)),
  },
  Activation: of(() => layers.activation({ activation: 'tanh' }), [4]),
  ELU: of(() => layers.elu({ alpha: 0.7 }), [4]),
  LeakyReLU: of(() => layers.leakyRelu({ negativeSlope: 0.2 }), [4]),
  PReLU: of(() => layers.prelu({ sharedAxes: [1] }), [4, 3]),
  ReLU: of(() => layers.relu({ maxValue: 0.5, negativeSlope: 0.1, threshold: 0.2 }), [4]),
  Softmax: of(() => layers.softmax({ axis: 1 }), [4, 3]),
  InputLayer: { graph: ([a]) => layers.dense({ units: 2 }).apply(a!), input: [4] },

  Conv1D: of(() => layers.conv1d({ filters: 4, kernelSize: 3, padding: 'causal', dilationRate: 2 }), sequence),
  Conv2D: of(() => layers.conv2d({ filters: 4, kernelSize: [3, 2], strides: 2, padding: 'same', groups: 2 }), image),
  Conv3D: of(() => layers.conv3d({ filters: 3, kernelSize: 2, activation: 'relu' }), volume),
  Conv1DTranspose: of(() => layers.conv1dTranspose({ filters: 4, kernelSize: 3, strides: 2 }), sequence),
  Conv2DTranspose: of(() => layers.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' }), image),
  Conv3DTranspose: of(() => layers.conv3dTranspose({ filters: 3, kernelSize: 2, strides: 2 }), [3, 4, 3, 2]),
  DepthwiseConv1D: of(() => layers.depthwiseConv1d({ kernelSize: 3, depthMultiplier: 2 }), sequence),
  DepthwiseConv2D: of(() => layers.depthwiseConv2d({ kernelSize: 3, padding: 'same' }), image),
  SeparableConv1D: of(() => layers.separableConv1d({ filters: 4, kernelSize: 3 }), sequence),
  SeparableConv2D: of(() => layers.separableConv2d({ filters: 4, kernelSize: 3, strides: 2 }), image),

  Add: two((a, b) => layers.add([a, b])),
  Average: two((a, b) => layers.average([a, b])),
  Concatenate: two((a, b) => layers.concatenate([a, b], { axis: 1 }), [4, 3]),
  Dot: two((a, b) => new layers.Dot({ axes: 1, normalize: true }).apply([a, b])),
  Maximum: two((a, b) => layers.maximum([a, b])),
  Minimum: two((a, b) => layers.minimum([a, b])),
  Multiply: two((a, b) => layers.multiply([a, b])),
  Subtract: two((a, b) => layers.subtract([a, b])),

  BatchNormalization: of(() => layers.batchNormalization({ momentum: 0.9, scale: false }), [4]),
  GroupNormalization: of(() => layers.groupNormalization({ groups: 2 }), [5, 5, 4]),
  LayerNormalization: of(() => layers.layerNormalization({ epsilon: 1e-4 }), [4, 3]),
  RMSNormalization: of(() => layers.rmsNormalization(), [4]),
  UnitNormalization: of(() => layers.unitNormalization({ axis: 1 }), [4, 3]),

  AdaptiveAveragePooling1D: of(() => layers.adaptiveAveragePooling1d({ outputSize: 3 }), sequence),
  AdaptiveAveragePooling2D: of(() => layers.adaptiveAveragePooling2d({ outputSize: [3, 4] }), image),
  AdaptiveAveragePooling3D: of(() => layers.adaptiveAveragePooling3d({ outputSize: 2 }), volume),
  AdaptiveMaxPooling1D: of(() => layers.adaptiveMaxPooling1d({ outputSize: 3 }), sequence),
  AdaptiveMaxPooling2D: of(() => layers.adaptiveMaxPooling2d({ outputSize: [3, 4] }), image),
  AdaptiveMaxPooling3D: of(() => layers.adaptiveMaxPooling3d({ outputSize: 2 }), volume),
  AveragePooling1D: of(() => layers.averagePooling1d({ poolSize: 3, padding: 'same' }), sequence),
  AveragePooling2D: of(() => layers.averagePooling2d({ poolSize: [2, 3], strides: 1 }), image),
  AveragePooling3D: of(() => layers.averagePooling3d(), volume),
  MaxPooling1D: of(() => layers.maxPooling1d({ poolSize: 3 }), sequence),
  MaxPooling2D: of(() => layers.maxPooling2d({ padding: 'same' }), image),
  MaxPooling3D: of(() => layers.maxPooling3d(), volume),
  GlobalAveragePooling1D: of(() => layers.globalAveragePooling1d(), sequence),
  GlobalAveragePooling2D: of(() => layers.globalAveragePooling2d({ keepdims: true }), image),
  GlobalAveragePooling3D: of(() => layers.globalAveragePooling3d(), volume),
  GlobalMaxPooling1D: of(() => layers.globalMaxPooling1d(), sequence),
  GlobalMaxPooling2D: of(() => layers.globalMaxPooling2d(), image),
  GlobalMaxPooling3D: of(() => layers.globalMaxPooling3d({ keepdims: true }), volume),

  RandomBrightness: of(() => new layers.RandomBrightness({ factor: 0.2 }), image),
  RandomContrast: of(() => new layers.RandomContrast({ factor: 0.2, seed: 3 }), image),
  RandomCrop: of(() => new layers.RandomCrop({ height: 4, width: 5 }), image),
  RandomFlip: of(() => new layers.RandomFlip({ mode: 'horizontal' }), image),
  RandomRotation: of(() => new layers.RandomRotation({ factor: 0.1 }), image),
  RandomTranslation: of(() => new layers.RandomTranslation({ heightFactor: 0.1, widthFactor: 0.2 }), image),
  RandomZoom: of(() => new layers.RandomZoom({ heightFactor: 0.1 }), image),
  CategoryEncoding: of(() => new layers.CategoryEncoding({ numTokens: 6, outputMode: 'multi_hot' }), [3], integers(6)),
  Discretization: of(() => new layers.Discretization({ binBoundaries: [-0.5, 0, 0.4] }), [4]),
  Normalization: {
    layer: () => new layers.Normalization(),
    input: [4],
    prepare: async (model) =>
      (model.layers[0] as layers.Normalization).adapt([
        [1, 2, 3, 4],
        [3, 2, 5, 9],
      ]),
  },
  'Normalization with moments': of(() => new layers.Normalization({ mean: [1, 2], variance: [3, 4] }), [2]),
  CenterCrop: of(() => new layers.CenterCrop({ height: 4, width: 5 }), image),
  Resizing: of(() => new layers.Resizing({ height: 5, width: 4 }), image),
  Identity: of(() => new layers.Identity(), [4]),
  Rescaling: of(() => new layers.Rescaling({ scale: 0.5, offset: 1 }), [4]),

  'LSTM of any length': of(() => layers.lstm({ units: 4, returnSequences: true }), sequence, { open: [0] }),
  'Bidirectional of any length': of(() => layers.bidirectional({ layer: layers.gru({ units: 3 }) }), sequence, {
    open: [0],
  }),
  'TimeDistributed of any length': of(() => layers.timeDistributed({ layer: layers.dense({ units: 3 }) }), sequence, {
    open: [0],
  }),
  'MultiHeadAttention of any length': two(
    (a, b) => layers.multiHeadAttention({ numHeads: 2, keyDim: 3 }).apply(a, { value: b }),
    sequence,
    { open: [0] },
  ),
  'Conv2D of any size': of(() => layers.conv2d({ filters: 3, kernelSize: 3, strides: 2 }), image, { open: [0, 1] }),
  'Conv2DTranspose of any size': of(() => layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2 }), image, {
    open: [0, 1],
  }),
  LSTM: of(() => layers.lstm({ units: 4, returnSequences: true, unitForgetBias: false }), sequence),
  GRU: of(() => layers.gru({ units: 4, resetAfter: false, goBackwards: true }), sequence),
  'GRU reset after': of(() => layers.gru({ units: 4 }), sequence),
  SimpleRNN: of(() => layers.simpleRnn({ units: 4, activation: 'relu' }), sequence),
  RNN: of(() => layers.rnn({ cell: layers.lstmCell({ units: 3 }), returnSequences: true }), sequence),
  LSTMCell: of(() => layers.rnn({ cell: layers.lstmCell({ units: 3 }) }), sequence),
  GRUCell: of(() => layers.rnn({ cell: layers.gruCell({ units: 3 }) }), sequence),
  SimpleRNNCell: of(() => layers.rnn({ cell: layers.simpleRnnCell({ units: 3 }) }), sequence),
  StackedRNNCells: of(
    () =>
      layers.rnn({
        cell: layers.stackedRnnCells({ cells: [layers.lstmCell({ units: 3 }), layers.gruCell({ units: 4 })] }),
      }),
    sequence,
  ),
  Bidirectional: of(
    () => layers.bidirectional({ layer: layers.lstm({ units: 3, returnSequences: true }), mergeMode: 'sum' }),
    sequence,
  ),
  TimeDistributed: of(() => layers.timeDistributed({ layer: layers.dense({ units: 2 }) }), sequence),

  ConvLSTM1D: of(() => layers.convLstm1d({ filters: 3, kernelSize: 2, returnSequences: true }), [4, 5, 2]),
  ConvLSTM2D: of(
    () => layers.convLstm2d({ filters: 3, kernelSize: [2, 3], padding: 'same', goBackwards: true }),
    [3, 4, 5, 2],
  ),
  ConvLSTM3D: of(() => layers.convLstm3d({ filters: 2, kernelSize: 2, unitForgetBias: false }), [2, 3, 4, 3, 2]),

  MultiHeadAttention: {
    graph: ([query, value]) =>
      layers
        .multiHeadAttention({ numHeads: 2, keyDim: 3, valueDim: 4, outputShape: 5, useGate: true })
        .apply(query!, { value: value!, useCausalMask: true }),
    input: [sequence, [5, 4]],
  },
  'MultiHeadAttention with scores': {
    graph: ([query, value, key]) =>
      layers
        .multiHeadAttention({ numHeads: 2, keyDim: 3, slidingWindow: 3 })
        .apply<Tensor[]>(query!, { value: value!, key: key!, returnAttentionScores: true }),
    input: [sequence, [5, 4], [5, 3]],
  },
  'MultiHeadAttention of masked words': {
    graph: ([ids]) => {
      const words = layers.embedding({ inputDim: 10, outputDim: 4, maskZero: true }).apply(ids!);
      return layers.multiHeadAttention({ numHeads: 2, keyDim: 3 }).apply(words, { value: words });
    },
    input: [6],
    ...integers(10),
  },
  'MultiHeadAttention along an axis': {
    graph: ([x]) => layers.multiHeadAttention({ numHeads: 2, keyDim: 3, attentionAxes: 2 }).apply(x!, { value: x! }),
    input: image,
  },
  GroupedQueryAttention: {
    graph: ([query, value]) =>
      layers
        .groupQueryAttention({ headDim: 3, numQueryHeads: 4, numKeyValueHeads: 2, useBias: false })
        .apply([query!, value!]),
    input: [sequence, [5, 3]],
  },
  Attention: {
    graph: ([query, value, key]) =>
      layers
        .attention({ useScale: true, scoreMode: 'concat' })
        .apply<Tensor[]>([query!, value!, key!], { returnAttentionScores: true }),
    input: [sequence, [5, 4], [5, 3]],
  },
  AdditiveAttention: {
    graph: ([query, value]) => layers.additiveAttention().apply([query!, value!], { useCausalMask: true }),
    input: [sequence, [7, 3]],
  },
  SpectralNormalization: of(
    () => layers.spectralNormalization({ layer: layers.dense({ units: 3 }), powerIterations: 2 }),
    [4],
  ),

  Dropout: of(() => layers.dropout({ rate: 0.3, seed: 5 }), [4]),
  SpatialDropout1D: of(() => layers.spatialDropout1d({ rate: 0.3 }), sequence),
  SpatialDropout2D: of(() => layers.spatialDropout2d({ rate: 0.3 }), image),
  SpatialDropout3D: of(() => layers.spatialDropout3d({ rate: 0.3 }), volume),
  ActivityRegularization: of(() => layers.activityRegularization({ l1: 0.1, l2: 0.2 }), [4]),
  AlphaDropout: of(() => layers.alphaDropout({ rate: 0.3 }), [4]),
  GaussianDropout: of(() => layers.gaussianDropout({ rate: 0.3 }), [4]),
  GaussianNoise: of(() => layers.gaussianNoise({ stddev: 0.3 }), [4]),

  Cropping1D: of(() => layers.cropping1d({ cropping: [1, 2] }), sequence),
  Cropping2D: of(() => layers.cropping2d({ cropping: 1 }), image),
  Cropping3D: of(() => layers.cropping3d(), volume),
  ZeroPadding1D: of(() => layers.zeroPadding1d({ padding: 2 }), sequence),
  ZeroPadding2D: of(() => layers.zeroPadding2d({ padding: [1, 2] }), image),
  ZeroPadding3D: of(() => layers.zeroPadding3d(), volume),
  Flatten: of(() => layers.flatten(), image),
  Permute: of(() => layers.permute({ dims: [2, 1] }), sequence),
  Reshape: of(() => layers.reshape({ targetShape: [3, -1] }), sequence),
  RepeatVector: of(() => layers.repeatVector({ n: 3 }), [4]),
  UpSampling1D: of(() => layers.upSampling1d({ size: 3 }), sequence),
  UpSampling2D: of(() => layers.upSampling2d({ size: [2, 3], interpolation: 'bilinear' }), image),
  UpSampling3D: of(() => layers.upSampling3d(), volume),

  'Hashing of integers': of(
    () => layers.hashing({ numBins: 5, maskValue: 2, salt: 9, outputMode: 'count' }),
    [3],
    integers(9),
  ),
  'IntegerLookup as multi-hot': of(
    () => layers.integerLookup({ vocabulary: [1, 5, 3], numOovIndices: 2, maskToken: 0, outputMode: 'multiHot' }),
    [3],
    integers(9),
  ),
  'HashedCrossing of integers': {
    ...two((a, b) => layers.hashedCrossing({ numBins: 5, outputMode: 'oneHot' }).apply([a, b]), [1]),
    ...integers(9),
  },
  Hashing: of(() => layers.hashing({ numBins: 7 }), [2], strings(words)),
  HashedCrossing: {
    graph: ([a, b]) => layers.hashedCrossing({ numBins: 9 }).apply([a!, b!]),
    input: [[1], [1]],
    ...strings([['red'], ['green'], ['blue']], [['a'], ['b'], ['c']]),
  },
  IntegerLookup: of(() => layers.integerLookup({ vocabulary: [3, 5, 9] }), [2], integers(10)),
  StringLookup: of(() => layers.stringLookup({ vocabulary: ['one', 'two', 'dé'] }), [2], strings(words)),
  TextVectorization: of(
    () => layers.textVectorization({ vocabulary: ['one', 'two', 'three'], outputSequenceLength: 4 }),
    [1],
    strings([['One two,'], ['three!'], ['four one']]),
  ),

  Sequential: of(() => sequential([layers.dense({ units: 3, inputShape: [4] }), layers.batchNormalization()]), [4]),
  Functional: {
    graph: ([a, b]) => {
      const p = input({ shape: [4] });
      const tower = functional({
        inputs: p,
        outputs: layers.dense({ units: 3 }).apply(layers.dense({ units: 5 }).apply(p)),
      });
      const shared = layers.dense({ units: 4 });
      return [tower.apply(a!), layers.concatenate([shared.apply(tower.apply(b!)), shared.apply(tower.apply(a!))])];
    },
    input: [[4], [4]],
  },
  'Functional with ops': {
    graph: ([a, b]) => layers.dense({ units: 2 }).apply(ops.relu(a!.mul(2).add(b!))),
    input: [[4], [4]],
  },
};

/** Classes that no file can hold. */
export const exempt: Record<string, string> = {
  Lambda: 'holds a function',
  StringLookup: 'takes strings: test/models/text.test.ts',
  TextVectorization: 'takes strings: test/models/text.test.ts',
};

export function modelOf({ layer, graph, input: shapes, open = [], dtype = 'float32' as never }: RoundTrip): Model {
  const given = (Array.isArray(shapes[0]) ? shapes : [shapes]) as number[][];
  const rows = given.map((shape) => shape.map((size, axis) => (open.includes(axis) ? null : size)));
  if (layer) return sequential([layers.inputLayer({ shape: rows[0]!, dtype }), layer()]);
  const inputs = rows.map((shape) => input({ shape, dtype }));
  return functional({ inputs: inputs.length === 1 ? inputs[0]! : inputs, outputs: graph!(inputs) }) as unknown as Model;
}
