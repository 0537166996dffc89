/** How many inputs and outputs a unit has; Keras's rule for kernels [window..., in, out]. */
export function fans(
  shape: readonly number[],
  inputAxes?: readonly number[],
  outputAxes?: readonly number[],
): { fanIn: number; fanOut: number } {
  const size = (axes: readonly number[]): number => axes.reduce((product, axis) => product * shape.at(axis)!, 1);
  if (inputAxes && outputAxes) return { fanIn: size(inputAxes), fanOut: size(outputAxes) };
  if (shape.length === 0) return { fanIn: 1, fanOut: 1 };
  if (shape.length === 1) return { fanIn: shape[0]!, fanOut: shape[0]! };
  const field = shape.slice(0, -2).reduce((product, dim) => product * dim, 1);
  return { fanIn: shape.at(-2)! * field, fanOut: shape.at(-1)! * field };
}
