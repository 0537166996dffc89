// Cases of kind "statistics": random values that must have the right mean, deviation and limits, or be orthogonal.

/** Throws when the values of an initializer are not what `spec.expect` says. */
export async function statistics({ chainrule, spec }) {
  const made = chainrule.initializers.get(spec.function.object);
  const { data, shape } = await chainrule.compute(() => made.call(spec.shape, 'float32'));
  if (shape.join() !== spec.shape.join()) throw new Error(`shape [${shape}] instead of [${spec.shape}]`);
  const problems = spec.expect.orthogonal ? orthogonal(data, shape, spec.expect) : moments(data, spec.expect);
  if (problems.length > 0) throw new Error(problems.join('; '));
}

function moments(data, { mean, std, min, max, meanTolerance, stdRelativeTolerance }) {
  const average = data.reduce((a, b) => a + b, 0) / data.length;
  const deviation = Math.sqrt(data.reduce((a, b) => a + (b - average) ** 2, 0) / data.length);
  const problems = [];
  if (!(Math.abs(average - mean) <= meanTolerance))
    problems.push(`mean ${average} instead of ${mean} ± ${meanTolerance}`);
  if (!(Math.abs(deviation / std - 1) <= stdRelativeTolerance))
    problems.push(`deviation ${deviation} instead of ${std} (error ${Math.abs(deviation / std - 1)})`);
  // The limits are of the float64 formula; the float32 next to a limit is legal.
  const [low, high] = [data.reduce((a, b) => Math.min(a, b)), data.reduce((a, b) => Math.max(a, b))];
  if (min !== undefined && low < min - 2 ** -23 * Math.abs(min)) problems.push(`smallest ${low} is below ${min}`);
  if (max !== undefined && high > max + 2 ** -23 * Math.abs(max)) problems.push(`largest ${high} is above ${max}`);
  return problems;
}

/** Rows or columns, whichever are fewer, of the tensor flattened to two dimensions. */
function orthogonal(data, shape, { norm, tolerance }) {
  const columns = shape.at(-1);
  const rows = data.length / columns;
  const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
  const at = (i, k) => (rows <= columns ? data[i * columns + k] : data[k * columns + i]);
  let worst = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let dot = 0;
      for (let k = 0; k < length; k++) dot += at(i, k) * at(j, k);
      worst = Math.max(worst, Math.abs(dot - (i === j ? norm ** 2 : 0)));
    }
  }
  return worst <= tolerance ? [] : [`not orthogonal: products are off by ${worst}`];
}
