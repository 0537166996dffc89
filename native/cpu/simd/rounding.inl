// Rounding goes through integers; from 2^23 on every float is one. The sign survives, as in -0.
CHAINRULE_INLINE Float keepLarge(Float a, Float rounded) {
  return select(abs(a) < Float(8388608.0f), orBits(rounded, signOf(a)), a);
}
CHAINRULE_INLINE Float trunc(Float a) { return keepLarge(a, toFloat(toInt(a))); }
CHAINRULE_INLINE Float floor(Float a) {
  const Float t = toFloat(toInt(a));
  return keepLarge(a, select(t > a, t - Float(1.0f), t));
}
CHAINRULE_INLINE Float ceil(Float a) {
  const Float t = toFloat(toInt(a));
  return keepLarge(a, select(t < a, t + Float(1.0f), t));
}
CHAINRULE_INLINE Float round(Float a) {  // adding 2^23 drops the fraction, half to even
  const Float magic(8388608.0f), magnitude = abs(a);
  return keepLarge(a, (magnitude + magic) - magic);
}
CHAINRULE_INLINE Int roundToInt(Float a) { return toInt(round(a)); }
