import { type DataInput, toTable } from '../data/columns.js';
import type { Executable } from '../graph/executable.js';
import { native } from '../native.js';
import { bound } from '../ndarray.js';
import { checkRules, integer } from '../rules.js';
import type { Model } from './model.js';
import { buildPredict, buildStep } from './programs.js';
import { tableOptions } from './source.js';

export interface ProfileOptions {
  /** Runs of the plan; each step is shown with its least time. Default 10. */
  repeats?: number;
}

/** Of GPUs: their times stand without a share of what they could do at most. */
const unknownFloor = { gflops: Number.POSITIVE_INFINITY, streamGBs: Number.POSITIVE_INFINITY };

/** A table of the plan's steps with times: of a prediction, or with labels of a training step. */
export async function profile(
  model: Model,
  x: DataInput,
  y: DataInput | undefined,
  options: ProfileOptions = {},
): Promise<string> {
  checkRules('profile', options, { repeats: integer(1) });
  model.buildFor(x);
  const table = await toTable({ x, y }, tableOptions(model, false));
  const time = async ({ program }: Executable): Promise<string> => {
    const floor = program.device === 'cpu' ? await native.measureFloor(native.info().threads) : unknownFloor;
    return program.profile(table.arrays.map(bound), { repeats: options.repeats ?? 10, floor });
  };
  if (y === undefined) {
    model.needBuilt('profile');
    const { executable } = await buildPredict(model, table);
    await executable.run(table.arrays);
    return time(executable);
  }
  model.needCompiled('profile');
  const end = model.beginFit();
  try {
    const { step, reset } = await buildStep(model, 'train', table, model.trainSlot.state);
    const before = await Promise.all(step.variables.map((variable) => variable.value()));
    const text = await time(step);
    await Promise.all(step.variables.map((variable, i) => variable.write(before[i]!)));
    await reset();
    return text;
  } finally {
    end();
  }
}
