// For instruction sets that cannot move the lanes of a mask together at once.

// The lanes of the mask, side by side; up to a whole vector is written. Returns their number.
CHAINRULE_INLINE int storeLanes(int32_t* p, Int a, Mask m) {
  int32_t all[lanes];
  store(all, a);
  int count = 0;
  for (int i = 0, bits = laneBits(m); i < lanes; ++i) {
    p[count] = all[i];
    count += bits >> i & 1;
  }
  return count;
}
