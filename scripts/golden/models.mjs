// How a case with a saved model is run, by kind: { chainrule, spec, tensors, directory } → results by tensor name.
// Numbers that stand in the JSON are compared here.
import { join } from 'node:path';
import { compare, Skip } from './compare.mjs';

const camel = (key) => key.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

async function open({ chainrule, spec, directory }) {
  if (!spec.files?.model) throw new Skip('the case has no model');
  const model = await chainrule.loadModel(join(directory, spec.area, spec.files.model));
  if (spec.files.weights) await model.loadWeights(join(directory, spec.area, spec.files.weights));
  checkWeights(model, spec);
  return model;
}

/** Paths are labels: shapes and trainable flags must agree, in the order of `model.weights`. */
function checkWeights(model, spec) {
  const { weights } = model;
  if (!spec.weights) return;
  if (weights.length !== spec.weights.length)
    throw new Error(`the model has ${weights.length} weights instead of ${spec.weights.length}`);
  spec.weights.forEach(({ path, shape, trainable }, i) => {
    if (weights[i].shape.join() !== shape.join())
      throw new Error(`weight ${i} (${path}) has shape [${weights[i].shape}] instead of [${shape}]`);
    if (trainable !== undefined && weights[i].trainable !== trainable)
      throw new Error(`weight ${i} (${path}) has trainable ${weights[i].trainable} instead of ${trainable}`);
  });
}

/** Arrays in the structure of `names`: one name, a list or a record of them. */
function pick(names, tensors) {
  if (typeof names === 'string') return tensors.get(names);
  if (Array.isArray(names)) return names.map((name) => pick(name, tensors));
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, pick(name, tensors)]));
}

/** Nested arrays of strings from their JSON. */
function nested({ shape, values }) {
  if (shape.length === 0) return values[0];
  const [rows, ...rest] = shape;
  const size = rest.reduce((a, b) => a * b, 1);
  const row = (i) => nested({ shape: rest, values: values.slice(i * size, (i + 1) * size) });
  return Array.from({ length: rows }, (_, i) => row(i));
}

const alone = (names) => (names.length === 1 ? names[0] : names);

/** Outputs as a list in Keras's order: records by key. */
function outputsOf(result, chainrule) {
  if (result instanceof chainrule.NDArray || result instanceof chainrule.Tensor) return [result];
  const items = Array.isArray(result)
    ? result
    : Object.keys(result)
        .sort()
        .map((key) => result[key]);
  return items.flatMap((item) => outputsOf(item, chainrule));
}

const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));

/** A preprocessing layer is made, adapted and used alone; a model of it, where there is one, must say the same. */
async function preprocess(input) {
  const { chainrule, spec, tensors } = input;
  const given = (name) => (spec.strings?.[name] ? nested(spec.strings[name]) : tensors.get(name));
  const layer = chainrule.layers.layerFamily.resolve(spec.layer);
  if (spec.adaptStrings) await layer.adapt(nested(spec.adaptStrings));
  else if (spec.adapt) await layer.adapt(tensors.get(spec.adapt));
  if (spec.vocabulary && layer.getVocabulary) same('vocabulary', layer.getVocabulary(), spec.vocabulary);
  const x = alone(spec.inputs.map(given));
  const results = {};
  if (layer.compute) {
    const found = await layer.compute(x);
    if (spec.expectStrings) same('the strings', found.toNested(), nested(stringsOf(spec)));
    else results[spec.outputs[0]] = found;
  }
  if (!spec.files?.model || spec.expectStrings) return results;
  const model = await open(input);
  const outputs = outputsOf(await model.predict(x), chainrule);
  if (results[spec.outputs[0]]) compare(spec.outputs[0], outputs[0], tensors.get(spec.outputs[0]), spec);
  return { ...results, ...named(spec.outputs, outputs) };
}

/** `expectStrings` holds one array, or one by name. */
const stringsOf = ({ expectStrings, outputs }) => (expectStrings.values ? expectStrings : expectStrings[outputs[0]]);

function same(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want))
    throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`);
}

async function predict(input) {
  const { chainrule, spec, tensors } = input;
  if (spec.strings || spec.expectStrings || spec.vocabulary) return preprocess(input);
  const model = await open(input);
  const results = {};
  const calls = spec.calls ?? [spec.x ?? spec.inputs];
  const found = [];
  for (const call of calls) {
    const x = pick(Array.isArray(call) ? alone(call) : call, tensors);
    found.push(...outputsOf(await model.predict(x), chainrule));
  }
  spec.outputs.forEach((name, i) => {
    results[name] = found[i];
  });
  if (found.length !== spec.outputs.length)
    throw new Error(`${found.length} outputs instead of ${spec.outputs.length}`);
  if (spec.optimizerVariables) {
    const own = await Promise.all(model.optimizer.variables.map((variable) => variable.value()));
    if (own.length !== spec.optimizerVariables.length)
      throw new Error(`the optimizer has ${own.length} variables instead of ${spec.optimizerVariables.length}`);
    spec.optimizerVariables.forEach(({ tensor }, i) => {
      results[tensor] = own[i];
    });
  }
  return results;
}

async function layergrad(input) {
  const { chainrule, spec, tensors } = input;
  const { compute, gradients, ops } = chainrule;
  const model = await open(input);
  const results = await compute(() => {
    const xs = spec.inputs.map((name) => ops.cast(tensors.get(name), tensors.get(name).dtype));
    const reads = model.trainableWeights.map((variable) => variable.read());
    const outs = outputsOf(model.apply(alone(xs), { training: spec.training }), chainrule);
    const terms = spec.cotangents.map((name, i) => ops.sum(ops.multiply(outs[i], tensors.get(name))));
    const total = terms.reduce((a, b) => ops.add(a, b));
    const wanted = Object.keys(spec.inputGradients);
    const targets = [...wanted.map((name) => xs[spec.inputs.indexOf(name)]), ...reads];
    const grads = gradients(total, targets).map((grad, i) => grad ?? ops.zerosLike(targets[i]));
    const entries = spec.outputs.map((name, i) => [name, outs[i]]);
    for (const [i, name] of wanted.entries()) entries.push([spec.inputGradients[name], grads[i]]);
    // Weights are matched by their order: paths are labels.
    const paths = spec.weights.filter(({ trainable }) => trainable).map(({ path }) => path);
    paths.forEach((path, i) => {
      const name = spec.weightGradients[path];
      if (name) entries.push([name, grads[wanted.length + i]]);
    });
    return Object.fromEntries(entries);
  });
  for (const [path, name] of Object.entries(spec.weightsAfter ?? {})) {
    const at = spec.weights.findIndex((weight) => weight.path === path);
    results[name] = await model.weights[at].value();
  }
  return results;
}

function close(what, got, want, { atol }, rtol) {
  if (typeof got !== 'number') throw new Error(`${what} is missing`);
  if (got === want || (Number.isNaN(got) && Number.isNaN(want))) return;
  const excess = Math.abs(got - want) / (atol + rtol * Math.abs(want));
  if (!(excess <= 1))
    throw new Error(`${what} is ${got} instead of ${want} (${excess.toPrecision(3)} times the tolerance)`);
}

function sameKeys(what, got, want) {
  const [found, wanted] = [Object.keys(got).sort(), Object.keys(want).sort()];
  if (found.join() !== wanted.join()) throw new Error(`${what} has the keys ${found} instead of ${wanted}`);
}

function compareLogs(what, got, want, tolerances, { rtol }) {
  sameKeys(what, got, want);
  for (const [key, value] of Object.entries(want)) close(`${what}.${key}`, got[key], value, tolerances[key], rtol);
}

async function evaluate(input) {
  const { chainrule, spec, tensors } = input;
  const model = await open(input);
  const { sampleWeight, ...options } = spec.evaluateArgs;
  const logs = await model.evaluate(pick(spec.x, tensors), pick(spec.y, tensors), {
    ...options,
    ...(sampleWeight && { sampleWeight: pick(sampleWeight, tensors) }),
  });
  compareLogs('evaluate', logs, spec.evaluate, spec.evaluateTolerance, spec.tolerance);
  return named(spec.outputs, outputsOf(await model.predict(pick(spec.x, tensors)), chainrule));
}

function makeCallback(chainrule, { className, config }) {
  const options = Object.fromEntries(Object.entries(config).map(([key, value]) => [camel(key), value]));
  const { callbacks } = chainrule;
  if (className === 'MultiplyLearningRate') {
    const { factor } = config;
    return callbacks.learningRateScheduler((epoch, rate) => (epoch === 0 ? rate : rate * factor));
  }
  if (className === 'LearningRateScheduler') return callbacks.learningRateScheduler((epoch) => config.schedule[epoch]);
  const make = callbacks[className[0].toLowerCase() + className.slice(1)] ?? callbacks[camelName(className)];
  if (!make) throw new Skip(`no callback ${className}`);
  return make(options);
}

/** `ReduceLROnPlateau` → `reduceLrOnPlateau`. */
const camelName = (name) => name.replace(/^[A-Z]/, (c) => c.toLowerCase()).replace('LR', 'Lr');

async function train(input) {
  const { chainrule, spec, tensors } = input;
  const model = await open(input);
  const [x, y] = [pick(spec.x, tensors), pick(spec.y, tensors)];
  const results = named(spec.before, outputsOf(await model.predict(x), chainrule));
  const { callbacks, validationData, sampleWeight, classWeight, ...options } = spec.fit;
  const history = await model.fit(x, y, {
    ...options,
    verbose: 0,
    callbacks: callbacks.map((one) => makeCallback(chainrule, one)),
    ...(validationData && { validationData: validationData.map((names) => pick(names, tensors)) }),
    ...(sampleWeight && { sampleWeight: pick(sampleWeight, tensors) }),
    ...(classWeight && { classWeight }),
  });
  sameKeys('history', history.history, spec.history);
  for (const [key, values] of Object.entries(spec.history)) {
    if (history.history[key].length !== spec.epochsRun)
      throw new Error(`history.${key} has ${history.history[key].length} epochs instead of ${spec.epochsRun}`);
    values.forEach((value, epoch) => {
      close(
        `history.${key}[${epoch}]`,
        history.history[key][epoch],
        value,
        spec.historyTolerance[key],
        spec.tolerance.rtol,
      );
    });
  }
  const weights = await Promise.all(model.weights.map((variable) => variable.value()));
  Object.assign(results, named(spec.finalWeights, weights));
  Object.assign(results, named(spec.after, outputsOf(await model.predict(x), chainrule)));
  const { batchSize } = spec.fit;
  const logs = await model.evaluate(x, y, {
    verbose: 0,
    ...(batchSize && { batchSize }),
    ...(sampleWeight && { sampleWeight: pick(sampleWeight, tensors) }),
  });
  compareLogs('evaluateAfter', logs, spec.evaluateAfter, spec.evaluateAfterTolerance, spec.tolerance);
  const { optimizer } = model;
  if (spec.optimizerIterations !== undefined) {
    const steps = Math.floor((await optimizer.iteration.value()).data[0] / (optimizer.gradientAccumulationSteps ?? 1));
    if (steps !== spec.optimizerIterations)
      throw new Error(`${steps} iterations instead of ${spec.optimizerIterations}`);
  }
  if (spec.finalLearningRate !== undefined && typeof optimizer.learningRate === 'number')
    close('finalLearningRate', optimizer.learningRate, spec.finalLearningRate, { atol: 0 }, 1e-6);
  return results;
}

async function statistics(input) {
  const { chainrule, spec, tensors } = input;
  const model = await open(input);
  const x = tensors.get(spec.inputs[0]);
  const y = await chainrule.compute(() => model.apply(chainrule.ops.cast(x, x.dtype), { training: spec.training }));
  checkRandom(x, y, spec.expect);
  return {};
}

function checkRandom(x, y, expect) {
  const { tolerance } = expect;
  const near = (what, got, want) => {
    if (want !== undefined && !(Math.abs(got - want) <= tolerance))
      throw new Error(`${what} is ${got} instead of ${want}`);
  };
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const pairs = [...x.data].map((value, i) => [value, y.data[i]]).filter(([value]) => value !== 0);
  near('fraction of zeros', mean(pairs.map(([, out]) => (out === 0 ? 1 : 0))), expect.zeroFraction);
  if (expect.meanOfRatio !== undefined)
    near('mean of the ratio', mean(pairs.map(([value, out]) => out / value)), expect.meanOfRatio);
  const differences = pairs.map(([value, out]) => out - value);
  near('mean of the difference', mean(differences), expect.meanOfDifference);
  const centre = mean(differences);
  near(
    'deviation of the difference',
    Math.sqrt(mean(differences.map((d) => (d - centre) ** 2))),
    expect.stdOfDifference,
  );
  if (expect.keptValueFactor !== undefined) {
    const wrong = pairs.find(
      ([value, out]) => out !== 0 && !(Math.abs(out / value / expect.keptValueFactor - 1) < 1e-5),
    );
    if (wrong) throw new Error(`a kept ${wrong[0]} became ${wrong[1]}, not ${expect.keptValueFactor} times itself`);
  }
  if (expect.sameAlongAxis !== undefined) checkSame(y, expect.sameAlongAxis);
}

/** An element is zero exactly where its neighbours along the axis are. */
function checkSame({ data, shape }, axis) {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  for (let i = 0; i < data.length; i++) {
    const first = i - (Math.floor(i / inner) % shape[axis]) * inner;
    if ((data[i] === 0) !== (data[first] === 0)) throw new Error(`the mask varies along axis ${axis} (element ${i})`);
  }
}

/** Kind → results by tensor name. */
export const models = { predict, layergrad, evaluate, train, statistics };
