// sin, cos, tan, atan. Errors as for math.inl: 2 ulp, tan 4, atan 3.

// 2/pi as a 256-bit fraction: exact reduction of any finite angle, one lane at a time. Angles this large are rare.
CHAINRULE_INLINE float reduceHugeAngle(float x, int32_t& quadrant) {
  constexpr uint32_t words[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const int exponent = int(bits >> 23 & 255) - 150;  // x = mantissa * 2^exponent
  const uint64_t mantissa = (bits & 0x7FFFFF) | 0x800000;
  quadrant = 0;
  if (exponent > 104) return x - x;  // infinity or NaN
  // Bits of 2/pi before `start` contribute multiples of 4 quadrants; the 96 bits from there on are more than enough.
  const int start = exponent < 2 ? 0 : exponent - 2, word = start / 32, shift = start % 32;
  uint64_t window[3];
  for (int i = 0; i < 3; ++i) window[i] = (uint64_t(words[word + i]) << 32 | words[word + i + 1]) << shift >> 32;
  __extension__ unsigned __int128 quadrants = (__extension__(unsigned __int128)(mantissa * window[0]) << 32);
  quadrants += mantissa * window[1] + (mantissa * window[2] >> 32);
  const uint64_t product = uint64_t(quadrants >> (start - (exponent - 2)));  // quadrants modulo 4, 2 + 62 bits
  quadrant = int32_t(product >> 62);
  const int64_t fraction = int64_t(product << 2);  // of a quadrant, rounded to the nearest one below
  if (fraction < 0) ++quadrant;
  double angle = double(fraction) * (1.5707963267948966 / 18446744073709551616.0);
  if (bits >> 31) {
    angle = -angle;
    quadrant = -quadrant;
  }
  quadrant &= 3;
  return float(angle);
}

// a = quadrant * pi/2 + r, |r| <= pi/4 (a little more at the seams).
CHAINRULE_INLINE Float reduceAngle(Float a, Int& quadrant) {
  const Float n = round(a * Float(6.3661974669e-01f));
  Float r = fma(n, Float(-1.5707963705e+00f), a);
  r = fma(n, Float(4.3711388287e-08f), r);
  r = fma(n, Float(1.7151245100e-15f), r);
  quadrant = roundToInt(n) & Int(3);
  const Mask large = !(abs(a) < Float(30000.0f));
  if (any(large)) {
    float angles[lanes], rest[lanes];
    int32_t quadrants[lanes];
    store(angles, a);
    store(rest, r);
    store(quadrants, quadrant);
    for (int i = 0; i < lanes; ++i) {
      if (!(__builtin_fabsf(angles[i]) < 30000.0f)) rest[i] = reduceHugeAngle(angles[i], quadrants[i]);
    }
    r = load(rest);
    quadrant = load(quadrants);
  }
  return r;
}
CHAINRULE_INLINE Float sinPart(Float r) {
  const Float z = r * r;
  Float q(2.837246939e-06f);
  q = fma(q, z, Float(-1.985349809e-04f));
  q = fma(q, z, Float(8.333380334e-03f));
  q = fma(q, z, Float(-1.666666716e-01f));
  return fma(q * z, r, r);
}
CHAINRULE_INLINE Float cosPart(Float r) {
  const Float z = r * r;
  Float q(2.443067024e-05f);
  q = fma(q, z, Float(-1.388730132e-03f));
  q = fma(q, z, Float(4.166664556e-02f));
  return fma(z * z, q, fma(z, Float(-0.5f), Float(1.0f)));
}
CHAINRULE_INLINE Float sinOfQuadrant(Float r, Int quadrant) {
  const Float value = select((quadrant & Int(1)) == Int(0), sinPart(r), cosPart(r));
  return floatOf(bitsOf(value) ^ shiftLeft<30>(quadrant & Int(2)));
}
CHAINRULE_INLINE Float sin(Float a) {
  Int quadrant;
  const Float r = reduceAngle(a, quadrant);
  return sinOfQuadrant(r, quadrant);
}
CHAINRULE_INLINE Float cos(Float a) {
  Int quadrant;
  const Float r = reduceAngle(a, quadrant);
  return sinOfQuadrant(r, quadrant + Int(1));
}
CHAINRULE_INLINE Float tan(Float a) {
  Int quadrant;
  const Float r = reduceAngle(a, quadrant);
  return sinOfQuadrant(r, quadrant) / sinOfQuadrant(r, quadrant + Int(1));
}
// Reduced to |r| <= tan(pi/8) by atan(a) = pi/2 - atan(1/a) and atan(a) = pi/4 + atan((a - 1) / (a + 1)).
CHAINRULE_INLINE Float atan(Float a) {
  const Float x = abs(a);
  const Mask large = x > Float(2.414213562f), middle = x > Float(0.4142135624f);
  const Float over = select(large, Float(-1.0f), select(middle, x - Float(1.0f), x));
  const Float under = select(large, x, select(middle, x + Float(1.0f), Float(1.0f)));
  const Float high = select(large, Float(1.5707963705e+00f), select(middle, Float(7.8539818525e-01f), Float(0.0f)));
  const Float low = select(large, Float(-4.3711388287e-08f), select(middle, Float(-2.1855694143e-08f), Float(0.0f)));
  const Float r = over / under;
  const Float z = r * r;
  Float q(8.05374449538e-2f);
  q = fma(q, z, Float(-1.38776856032e-1f));
  q = fma(q, z, Float(1.99777106478e-1f));
  q = fma(q, z, Float(-3.33329491539e-1f));
  const Float y = high + (fma(q * z, r, r) + low);
  return select(a < Float(0.0f), -y, y);
}
