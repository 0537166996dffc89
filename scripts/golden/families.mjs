// How a case of each family is run: { chainrule, spec, tensors } → results by tensor name.

import { Skip } from './compare.mjs';
import { ops } from './ops.mjs';
import { optimizer } from './optimizer.mjs';

const camel = (key) => key.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const options = (config) =>
  Object.fromEntries(Object.entries(config).map(([key, value]) => [camel(key), value ?? undefined]));

async function activation({ chainrule, spec, tensors }) {
  const { compute, gradients, ops } = chainrule;
  const fn = chainrule.activations[camel(spec.function.name)];
  if (!fn) throw new Skip(`no activation "${spec.function.name}"`);
  const kwargs = options(spec.function.kwargs);
  const positional = ['softmax', 'log_softmax'].includes(spec.function.name) ? kwargs.axis : kwargs;
  const [out, dx] = await compute(() => {
    const x = ops.cast(tensors.get('x0'), 'float32');
    const y = fn(x, positional);
    return [y, gradients(y, [x], ops.cast(tensors.get('c0'), 'float32'))[0]];
  });
  return { out0: out, dx0: dx };
}

async function loss({ chainrule, spec, tensors }) {
  const { compute, gradients, losses, ops } = chainrule;
  const results = {};
  for (const check of spec.checks) {
    const made = losses.get({
      class_name: spec.function.className,
      config: { ...spec.function.config, reduction: check.reduction ?? 'none' },
    });
    const [value, gradient] = await compute(() => {
      const x = ops.cast(tensors.get('x0'), 'float32');
      if (check.mask) x.mask = ops.cast(tensors.get(check.mask), 'bool');
      const loss = made.apply(tensors.get('y0'), x, check.sampleWeight ? tensors.get(check.sampleWeight) : undefined);
      return [loss, gradients(ops.sum(loss), [x])[0] ?? ops.zerosLike(x)];
    });
    results[check.loss] = value;
    if (check.gradient) results[check.gradient] = gradient;
  }
  return results;
}

async function metric({ chainrule, spec, tensors }) {
  const { compute, metrics } = chainrule;
  const made = metrics.get({ class_name: spec.function.className, config: spec.function.config });
  return compute(() => {
    made.resetState();
    return Object.fromEntries(
      spec.checks.map((check) => {
        const weight = check.sampleWeight ? tensors.get(check.sampleWeight) : undefined;
        if (check.yTrue) made.updateState(tensors.get(check.yTrue), tensors.get(check.values), weight);
        else made.updateState(tensors.get(check.values), weight);
        return [check.result, made.result()];
      }),
    );
  });
}

async function schedule({ chainrule, spec, tensors }) {
  const { compute, ops, schedules } = chainrule;
  const made = schedules.get(spec.function.object);
  return { out0: await compute(() => made.call(ops.cast(tensors.get('x0'), 'float32'))) };
}

async function regularizer({ chainrule, spec, tensors }) {
  const { compute, gradients, ops, regularizers } = chainrule;
  const made = regularizers.get(spec.function.object);
  const [out, dx] = await compute(() => {
    const x = ops.cast(tensors.get('x0'), 'float32');
    const y = made.apply(x);
    return [y, gradients(y, [x])[0]];
  });
  return { out0: out, ...(spec.inputGradients && { dx0: dx }) };
}

async function constraint({ chainrule, spec, tensors }) {
  const made = chainrule.constraints.get(spec.function.object);
  return { out0: await chainrule.compute(() => made.apply(tensors.get('x0'))) };
}

async function initializer({ chainrule, spec }) {
  const made = chainrule.initializers.get(spec.function.object);
  const value = await chainrule.compute(() => made.call(spec.shape, 'float32'));
  return { [spec.outputs[0]]: value };
}

const all = (run) => async (input) => ({ results: await run(input) });
const whole = { activation, loss, metric, schedule, regularizer, constraint, initializer, optimizer };

/** Family → { results, skip? }: results by tensor name, and why the case as a whole is skipped. */
export const families = { ...Object.fromEntries(Object.entries(whole).map(([name, run]) => [name, all(run)])), ops };
