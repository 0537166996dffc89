// Writes dist/chainrule.v8-VERSION, which lib/entry.ts loads: the bundle as this version of V8 compiled it, with the functions
// that a first prediction and a first step of training call.
const { readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const Module = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const file = join(__dirname, '../dist/chainrule.js');
const folder = dirname(file);

async function main() {
  // The name goes into the cache and from there into stack traces: not the folder of whoever built it.
  const script = new Script(Module.wrap(readFileSync(file, 'utf8')), { filename: 'chainrule/dist/chainrule.js' });
  const bundle = { exports: {} };
  script.runInThisContext().call(bundle.exports, bundle.exports, Module.createRequire(file), bundle, file, folder);
  const { layers, NDArray, sequential } = bundle.exports;
  const model = sequential([layers.dense({ units: 2, activation: 'relu', inputShape: [3] }), layers.dense({ units: 1 })]);
  model.predictSync(new Float32Array(3));
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  const x = new NDArray(new Float32Array(12), [4, 3]);
  await model.fit(x, new NDArray(new Float32Array(4), [4, 1]), { verbose: 0 });
  await model.predict(x);
  for (const name of readdirSync(folder)) if (name.startsWith('chainrule.v8-')) rmSync(join(folder, name));
  writeFileSync(join(folder, `chainrule.v8-${process.versions.v8}`), script.createCachedData());
}

main();
