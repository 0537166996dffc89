/** A case that cannot run yet; its message is the reason. */
export class Skip extends Error {}

/** `|got - want| <= atol + rtol * |want|`, with the tensor's own atol; integers must be equal, NaN equals NaN. */
export function compare(name, got, want, spec) {
  const { atol = spec.tolerance.atol, compare: wanted } = spec.tensors[name] ?? {};
  if (wanted === false) return;
  if (!want) throw new Error(`${name}: the case holds no such tensor`);
  if (got.shape.join() !== want.shape.join())
    throw new Error(`${name}: shape [${got.shape}] instead of [${want.shape}]`);
  const { rtol } = spec.tolerance;
  let worst = 0;
  let at = -1;
  for (let i = 0; i < want.data.length; i++) {
    const [a, b] = [got.data[i], want.data[i]];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const excess = Math.abs(a - b) / (atol + rtol * Math.abs(b));
    if (!(excess <= worst)) [worst, at] = [Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess, i];
  }
  if (worst > 1) {
    const error = Math.abs(got.data[at] - want.data[at]).toPrecision(3);
    throw new Error(
      `${name}: element ${at} is ${got.data[at]} instead of ${want.data[at]} (error ${error}, ${worst.toPrecision(3)} times the tolerance)`,
    );
  }
}
