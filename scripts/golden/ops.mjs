import { Skip } from './compare.mjs';

const camel = (key) => key.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** Ops whose Keras name or arguments differ from ours: (ops, args, kwargs) → result. Others take their arguments in order, then kwargs as options. */
const special = {
  absolute: (ops, [x]) => ops.abs(x),
  var: (ops, [x], kwargs) => ops.variance(x, kwargs),
  arange: (ops, [start, stop, step]) => ops.multiply(ops.iota([Math.ceil((stop - start) / step)]), step),
  identity: (ops, [n]) => ops.eye(n),
  concatenate: (ops, [xs], { axis }) => ops.concatenate(xs, axis),
  stack: (ops, [xs], { axis }) => ops.stack(xs, axis),
  split: (ops, [x, parts], { axis }) => ops.split(x, parts, axis),
  repeat: (ops, [x, count], { axis }) => ops.repeat(x, count, axis),
  squeeze: (ops, [x], { axis }) => ops.squeeze(x, axis),
  flip: (ops, [x], { axis }) => ops.flip(x, axis),
  take: (ops, [x, indices], { axis }) => ops.take(x, indices, axis),
  softmax: (ops, [x], { axis }) => ops.softmax(x, axis),
  log_softmax: (ops, [x], { axis }) => ops.logSoftmax(x, axis),
  pad: (ops, [x, width], { mode }) => (mode ? undefined : ops.pad(x, width)),
  max: (ops, [x], kwargs) => (kwargs.initial === undefined ? ops.max(x, kwargs) : undefined),
  in_top_k: (ops, [targets, predictions], { k }) => ops.inTopK(targets, predictions, k),
  conv: (ops, [x, kernel], kwargs) => (x.rank === 4 ? ops.conv2d(x, kernel, kwargs) : undefined),
  norm: (ops, [x], kwargs) => (kwargs.ord === undefined ? ops.norm(x, kwargs) : undefined),
  // keras.ops.gelu approximates unless told otherwise, keras.activations.gelu does not.
  gelu: (_, [x], { approximate = true }, activations) => activations.gelu(x, { approximate }),
  max_pool: (ops, [x, size], kwargs) => (x.rank === 4 ? ops.maxPool2d(x, size, kwargs) : undefined),
  average_pool: (ops, [x, size], kwargs) => (x.rank === 4 ? ops.averagePool2d(x, size, kwargs) : undefined),
  moments: (ops, [x], { axes }) => Object.values(ops.moments(x, { axis: axes })),
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
