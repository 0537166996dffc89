/** Steps on given gradients: the variables after each, and the optimizer's own at the end. */
export async function optimizer({ chainrule, spec, tensors }) {
  const { compute, NDArray, optimizers, trace, Variable } = chainrule;
  const made = optimizers.get(spec.function.object);
  const variables = spec.variables.map(
    ({ name, initial }) => new Variable(name, tensors.get(initial).shape, { initialValue: tensors.get(initial) }),
  );
  if (spec.function.excludeFromWeightDecay)
    made.excludeFromWeightDecay({ names: spec.function.excludeFromWeightDecay });
  const step = trace(
    (grads) => {
      made.apply(
        variables.map((_, i) => grads[`g${i}`]),
        variables,
      );
      return variables.map((variable) => variable.read());
    },
    { batch: false },
  );
  const rows = variables.map(() => []);
  for (let k = 0; k < spec.steps; k++) {
    const grads = Object.fromEntries(
      spec.variables.map(({ gradients }, i) => [
        `g${i}`,
        tensors
          .get(gradients)
          .rows(k, k + 1)
          .reshape(tensors.get(gradients).shape.slice(1)),
      ]),
    );
    const after = await step.run(grads);
    for (const [i, array] of after.entries()) rows[i].push(...array.data);
  }
  const results = {};
  spec.variables.forEach(({ trajectory }, i) => {
    results[trajectory] = new NDArray(Float32Array.from(rows[i]), [spec.steps, ...variables[i].shape]);
  });
  const own = await Promise.all(made.variables.map((variable) => variable.value()));
  spec.optimizerVariables.forEach(({ tensor, path }, i) => {
    if (!own[i]) throw new Error(`optimizer variable ${i} (${path}) is missing`);
    results[tensor] = own[i];
  });
  if (spec.variables.some(({ finalized }) => finalized)) {
    const final = await compute(() => {
      made.finalize(variables);
      return variables.map((variable) => variable.read());
    });
    spec.variables.forEach(({ finalized }, i) => {
      if (finalized) results[finalized] = final[i];
    });
  }
  return results;
}
