// Small fixed workloads through the public API, each run once to make its plan and once to be counted. Argument: the addon of
// marks.c. Without it they just run.
const { activations, layers, NDArray, ops, sequential, setNumThreads, trace } = require('../../dist/chainrule.js');

const dump = process.argv[2] ? require(process.argv[2]).dump : (name) => console.log(name);
setNumThreads(1);

const floats = (...shape) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 1000) / 500 - 1),
    shape,
  );
};
const classes = (rows, count) => new NDArray(Int32Array.from({ length: rows }, (_, i) => (i * 31) % count), [rows]);

function training(network, x, y) {
  const model = sequential(network);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy' });
  return () => model.trainOnBatch(x, y);
}

function rows(describe) {
  const x = floats(64, 256);
  const pass = trace(({ x }) => describe(x));
  return () => pass.run({ x });
}

const classifier = (units) => layers.dense({ units, activation: 'softmax' });

const workloads = {
  'dense training': () =>
    training(
      [layers.dense({ units: 128, activation: 'relu', inputShape: [32] }), layers.dense({ units: 64 }), classifier(4)],
      floats(32, 32),
      classes(32, 4),
    ),
  'dense prediction': () => {
    const model = sequential([layers.dense({ units: 256, activation: 'relu', inputShape: [256] })]);
    const row = floats(256).data;
    return () => model.predictSync(row);
  },
  product: () => {
    const [a, b] = [floats(96, 160), floats(160, 112)];
    const pass = trace(({ a, b }) => ops.matmul(a, b), { batch: false });
    return () => pass.run({ a, b });
  },
  'convolution training': () =>
    training(
      [
        layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu', inputShape: [12, 12, 8] }),
        layers.batchNormalization(),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.depthwiseConv2d({ kernelSize: 3 }),
        layers.flatten(),
        classifier(10),
      ],
      floats(4, 12, 12, 8),
      classes(4, 10),
    ),
  'LSTM training': () =>
    training([layers.lstm({ units: 32, inputShape: [10, 16] }), classifier(3)], floats(8, 10, 16), classes(8, 3)),
  'GRU training': () =>
    training([layers.gru({ units: 32, inputShape: [10, 16] }), classifier(3)], floats(8, 10, 16), classes(8, 3)),
  'embedding training': () =>
    training(
      [layers.embedding({ inputDim: 500, outputDim: 16, inputShape: [20] }), layers.flatten(), classifier(3)],
      new NDArray(classes(160, 500).data, [8, 20]),
      classes(8, 3),
    ),
  attention: () => {
    const qkv = () => floats(2, 48, 4, 16);
    const pass = trace(({ q, k, v }) => ops.dotProductAttention(q, k, v, { isCausal: true }));
    const feed = { q: qkv(), k: qkv(), v: qkv() };
    return () => pass.run(feed);
  },
  softmax: () => rows((x) => ops.softmax(x)),
  'layer normalization': () => rows((x) => ops.layerNormalization(x)),
  gelu: () => rows((x) => activations.gelu(x)),
};

async function main() {
  for (const [name, make] of Object.entries(workloads)) {
    const run = make();
    await run();
    await run();
    dump(`before ${name}`);
    await run();
    dump(name);
  }
}

main();
