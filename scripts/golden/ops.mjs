import { Skip } from './compare.mjs';

const camel = (key) => key.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** Ops whose Keras name or arguments differ from ours: (ops, args, kwargs) → result. Others take their arguments in order, then kwargs as options. */
const special = {
  absolute: (ops, [x]) => ops.abs(x),
  var: (ops, [x], kwargs) => ops.variance(x, kwargs),
  concatenate: (ops, [xs], { axis }) => ops.concatenate(xs, axis),
  stack: (ops, [xs], { axis }) => ops.stack(xs, axis),
  split: (ops, [x, parts], { axis }) => ops.split(x, parts, axis),
  repeat: (ops, [x, count], { axis }) => ops.repeat(x, count, axis),
  squeeze: (ops, [x], { axis }) => ops.squeeze(x, axis),
  flip: (ops, [x], { axis }) => ops.flip(x, axis),
  roll: (ops, [x, shift], { axis }) => ops.roll(x, shift, axis),
  take: (ops, [x, indices], { axis }) => ops.take(x, indices, axis),
  take_along_axis: (ops, [x, indices], { axis }) => ops.takeAlongAxis(x, indices, axis),
  tril: (ops, [x], { k }) => ops.tril(x, k),
  triu: (ops, [x], { k }) => ops.triu(x, k),
  meshgrid: (ops, xs, kwargs) => ops.meshgrid(xs, kwargs),
  softmax: (ops, [x], { axis }) => ops.softmax(x, axis),
  log_softmax: (ops, [x], { axis }) => ops.logSoftmax(x, axis),
  top_k: (ops, [x, k]) => Object.values(ops.topK(x, k)),
  in_top_k: (ops, [targets, predictions], { k }) => ops.inTopK(targets, predictions, k),
  // keras.ops.gelu approximates unless told otherwise, keras.activations.gelu does not.
  gelu: (_, [x], { approximate = true }, activations) => activations.gelu(x, { approximate }),
  svd: (ops, [x], { computeUv = true }) => (computeUv ? Object.values(ops.svd(x)) : ops.svd(x).s),
  qr: (ops, [x]) => Object.values(ops.qr(x)),
  moments: (ops, [x], { axes }) => Object.values(ops.moments(x, { axis: axes })),
  'image.resize': (ops, [x, size], kwargs) => ops.image.resize(x, size, kwargs),
  'image.rgb_to_grayscale': (ops, [x]) => ops.image.rgbToGrayscale(x),
  'image.pad_images': (ops, [x, top, left, bottom, right], kwargs) =>
    ops.image.padImages(x, { top, left, bottom, right, ...kwargs }),
  'image.crop_images': (ops, [x, top, left, bottom, right], kwargs) =>
    ops.image.cropImages(x, { top, left, bottom, right, ...kwargs }),
};

/** One call of keras.ops; undefined where we have no such op. */
function call(chainrule, { op, args, kwargs }, tensor) {
  const { ops, activations } = chainrule;
  const value = (item) =>
    item?.tensor ? tensor(item.tensor) : Array.isArray(item) && item[0]?.tensor ? item.map(value) : item;
  const options = Object.fromEntries(Object.entries(kwargs).map(([key, item]) => [camel(key), value(item)]));
  const list = args.map(value);
  if (special[op]) return special[op](ops, list, options, activations);
  const fn = ops[camel(op)] ?? activations[camel(op)];
  if (typeof fn !== 'function') return undefined;
  return fn(...list, ...(Object.keys(options).length > 0 ? [options] : []));
}

export async function ops({ chainrule, spec, tensors }) {
  const { compute, gradients, ops } = chainrule;
  const results = {};
  const missing = new Set();
  for (const check of spec.checks) {
    const found = await compute(() => {
      const inputs = new Map();
      const tensor = (name) => {
        if (!inputs.has(name)) inputs.set(name, ops.cast(tensors.get(name), tensors.get(name).dtype));
        return inputs.get(name);
      };
      const out = call(chainrule, check, tensor);
      if (out === undefined) return [];
      const outs = Array.isArray(out) ? out : [out];
      const named = outs.map((value, i) => [check.outputs[i], value]);
      if (!check.inputGradients) return named;
      const terms = check.cotangents.map((name, i) => ops.sum(ops.multiply(outs[i], tensors.get(name))));
      const total = terms.reduce((a, b) => ops.add(a, b));
      const names = Object.keys(check.inputGradients);
      const grads = gradients(total, names.map(tensor));
      return [
        ...named,
        ...names.map((name, i) => [check.inputGradients[name], grads[i] ?? ops.zerosLike(tensor(name))]),
      ];
    });
    if (found.length === 0) missing.add(check.op);
    for (const [name, array] of found) results[name] = array;
  }
  // What there is must be right even where the case as a whole cannot pass yet.
  return { results, skip: missing.size > 0 ? new Skip(`needs ${[...missing].join(', ')}`) : undefined };
}
