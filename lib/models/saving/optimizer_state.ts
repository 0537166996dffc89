import { ChainruleError } from '../../errors.js';
import type { Hdf5Dataset, Hdf5Group } from '../../formats/hdf5/index.js';
import { shapeText } from '../../ndarray.js';
import type { Model } from '../model.js';
import { assign } from './read_weights.js';

/**
 * Takes over the state of an optimizer, where the file has it: `optimizer/vars/0` counts iterations, 1 is the learning
 * rate (absent for schedules), then the slots. A file that was compiled but not trained has no slots yet.
 */
export async function loadOptimizer(model: Model, root: Hdf5Group, label: string): Promise<void> {
  const vars = root.group('optimizer/vars');
  const names = (vars?.names() ?? []).map((_, i) => String(i));
  if (vars && names.length > 0)
    await take(
      model,
      names.map((name) => vars.dataset(name)),
      label,
    );
}

/** The same for a legacy file: the state of Keras 3 and of TensorFlow 2.11 and later is taken over. */
export async function loadLegacyOptimizer(
  model: Model,
  { names, group }: { names: readonly string[]; group: Hdf5Group },
  label: string,
): Promise<void> {
  // Optimizers before that keep their slots one kind after the other, without the learning rate.
  const modern = names.length === 0 || /(^|\/)iteration(:0)?$/.test(names[0]!);
  if (names.length > 0 && modern)
    await take(
      model,
      names.map((name) => group.dataset(name)),
      label,
    );
  else if (names.length > 0) warn(label, `the state of an optimizer of old Keras is not taken over`);
}

async function take(model: Model, datasets: readonly (Hdf5Dataset | undefined)[], label: string): Promise<void> {
  const { optimizer } = model;
  const count = datasets.length;
  const fresh = optimizer.variables.length;
  if (count > fresh) optimizer.build(model.trainableWeights);
  const { variables } = optimizer;
  if (count !== fresh && count !== variables.length) {
    const what = `the state of its optimizer (${count} variables) does not fit ${optimizer.className} (${variables.length})`;
    warn(label, what);
    return;
  }
  const matches = datasets.map((dataset, i) => {
    const variable = variables[i]!;
    if (dataset && shapeText(dataset.shape) === shapeText(variable.shape)) return { variable, dataset };
    throw new ChainruleError(
      'ERR_CHAINRULE_FORMAT',
      `${label}: variable ${i} of the optimizer ${dataset ? `has shape ${shapeText(dataset.shape)}` : 'is missing'}; ${variable.path} needs ${shapeText(variable.shape)}.`,
    );
  });
  await assign(matches);
  const rate = matches.find(({ variable }) => variable.name === 'learning_rate');
  if (rate && typeof optimizer.learningRate === 'number') optimizer.learningRate = (await rate.dataset.read()).data[0]!;
}

function warn(label: string, what: string): void {
  process.emitWarning(`${label}: ${what}; training starts with a fresh one.`, 'ChainruleWarning');
}
