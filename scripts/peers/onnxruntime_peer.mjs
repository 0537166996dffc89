// onnxruntime-node's side of the benchmark: inference, with the files of onnx_files.py.
// Arguments: threads, folder of the files. CHAINRULE_PEER_NODE_MODULES holds the package.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { uniform } from '../../dist/bench/data.js';
import { serve } from './protocol.mjs';

const [threads, folder] = process.argv.slice(2);
const ort = createRequire(join(process.env.CHAINRULE_PEER_NODE_MODULES, 'x.js'))('onnxruntime-node');

const rows = (shape, factor = 1) => ({ x: tensor(1, shape, factor) });

function tensor(seed, shape, factor = 1) {
  return new ort.Tensor(
    'float32',
    uniform(seed, ...shape).map((value) => value * factor),
    shape,
  );
}

/** The file of a unit, and what it is fed with; undefined where there is none. */
function task(workload, unit) {
  const size = Number(/\d+$/.exec(unit)?.[0]);
  if (workload === 'W1' && unit.startsWith('nn'))
    return [`product${size}`, () => ({ x: tensor(1, [size, size]), b: tensor(2, [size, size]) })];
  if (workload === 'W2') return ['dense', () => rows([size, 1024])];
  if (workload === 'W7') return [`resnet50_${size}`, () => rows([size, 3, 224, 224])];
  if (workload === 'W15') return ['tiny', () => rows([1, 8])];
  if (workload === 'W17' && unit.endsWith('-fwd')) return [unit.split('-')[0], () => rows([8192, 1024], 4)];
  if (workload === 'W18' && unit.startsWith('int8')) {
    return unit === 'int8-cnn'
      ? ['convnet_int8', () => rows([128, 1, 28, 28])]
      : ['dense_int8', () => rows([size, 1024])];
  }
  if (unit !== 'inf') return undefined;
  return {
    W5: ['convnet', () => rows([128, 1, 28, 28])],
    W8: ['inverted', () => rows([16, 24, 56, 56])],
    W12: ['encoder', () => rows([32, 128, 256])],
  }[workload];
}

const open = (file) =>
  ort.InferenceSession.create(join(folder, `${file}.onnx`), {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });

/** Whole processes, from start to first prediction. */
function start() {
  const program = `
    const ort = require('onnxruntime-node');
    ort.InferenceSession.create(${JSON.stringify(join(folder, 'tiny.onnx'))})
      .then((session) => session.run({ x: new ort.Tensor('float32', new Float32Array(8), [1, 8]) }))
      .then(({ y }) => process.exit(Number.isFinite(y.data[0]) ? 0 : 1));`;
  const env = { ...process.env, NODE_PATH: process.env.CHAINRULE_PEER_NODE_MODULES };
  const { status } = spawnSync(process.execPath, ['-e', program], { env });
  if (status !== 0) throw new Error(`the process ended with exit code ${status}`);
}

await serve(
  (workload, unit) => (workload === 'W22' || task(workload, unit) ? [''] : []),
  async (workload, unit) => {
    if (workload === 'W22') return { run: start };
    const [file, feed] = task(workload, unit);
    const session = await open(file);
    const inputs = feed();
    await session.run(inputs);
    if (workload !== 'W15') return { run: () => session.run(inputs) };
    const row = new Float32Array(8);
    return { run: () => session.run({ x: new ort.Tensor('float32', row, [1, 8]) }) };
  },
);
