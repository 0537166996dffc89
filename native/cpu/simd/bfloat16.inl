// Lanes of bfloat16: they are the floats whose lower half is 0.

// The nearest bfloat16, halves to even (base/bfloat16.h). Integers only, so that no mode of the processor matters.
CHAINRULE_INLINE Float roundToBfloat16(Float a) {
  const Int bits = bitsOf(a), upper(-65536);
  const Int odd = shiftRightLogical<16>(bits) & Int(1);
  const Mask isNan = (bits & Int(INT32_MAX)) > Int(0x7F800000);
  const Int rounded = bits + Int(0x7FFF) + odd;
  return floatOf(select(isNan, bits | Int(0x400000), rounded) & upper);
}
