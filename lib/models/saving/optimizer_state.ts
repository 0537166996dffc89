import { ChainruleError } from '../../errors.js';
import type { Hdf5Group } from '../../formats/hdf5/index.js';
import { shapeText } from '../../ndarray.js';
import type { Model } from '../model.js';
import { assign } from './read_weights.js';

/**
 * Takes over the state of an optimizer, where the file has it: `optimizer/vars/0` counts iterations, 1 is the learning
 * rate (absent for schedules), then the slots. A file that was compiled but not trained has no slots yet.
 */
export async function loadOptimizer(model: Model, root: Hdf5Group, label: string): Promise<void> {
  const vars = root.group('optimizer/vars');
  const count = vars?.names().length ?? 0;
  if (!vars || count === 0) return;
  const { optimizer } = model;
  const fresh = optimizer.variables.length;
  if (count > fresh) optimizer.build(model.trainableWeights);
  const { variables } = optimizer;
  if (count !== fresh && count !== variables.length) {
    process.emitWarning(
      `${label}: the state of its optimizer (${count} variables) does not fit ${optimizer.className} (${variables.length}); training starts with a fresh one.`,
      'ChainruleWarning',
    );
    return;
  }
  const matches = variables.slice(0, count).map((variable, i) => {
    const dataset = vars.dataset(String(i));
    if (dataset && shapeText(dataset.shape) === shapeText(variable.shape)) return { variable, dataset };
    throw new ChainruleError(
      'ERR_CHAINRULE_FORMAT',
      `${label}: optimizer/vars/${i} ${dataset ? `has shape ${shapeText(dataset.shape)}` : 'is missing'}; ${variable.path} needs ${shapeText(variable.shape)}.`,
    );
  });
  await assign(matches);
  const rate = matches.find(({ variable }) => variable.name === 'learning_rate');
  if (rate && typeof optimizer.learningRate === 'number')
    optimizer.learningRate = (await rate.dataset.read()).data[0]!;
}
