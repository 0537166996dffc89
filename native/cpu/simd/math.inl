// Elementary functions over Float and Int, written once. Errors are bounded by test/kernels/math.cpp (2 ulp, erf 3).
// A denormal argument counts as zero; denormal results depend on the thread's mode, which engine threads set to flush.
// NaN survives minOr/maxOr only as their second operand.

CHAINRULE_INLINE Mask operator==(Mask a, Mask b) { return (a & b) | !(a | b); }

// Polynomials are evaluated by halves (Estrin): the loops below are bound by latency, not by the number of multiplications.

// x = n ln2 + r, |r| <= ln2 / 2. The integer n sits in the low bits of `shifted`.
CHAINRULE_INLINE Float reduceExponent(Float x, Float& n, Int& shifted) {
  const Float magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Float t = fma(x, Float(1.4426950216e+00f), magic);
  n = t - magic;
  shifted = bitsOf(t);
  return fma(n, Float(1.9046542121e-09f), fma(n, Float(-6.9314718246e-01f), x));
}
CHAINRULE_INLINE Float powerOfTwo(Int shifted, int32_t more) {  // 2^(n + more), in [-126, 127]
  return floatOf(shiftLeft<23>(shifted + Int(more + 127)));
}

// e^r - 1 = r + r^2 (1/2 + r/6 + …)
CHAINRULE_INLINE Float expm1Reduced(Float r) {
  const Float s = r * r;
  const Float q0 = fma(Float(1.666666716e-01f), r, Float(0.5f)), q1 = fma(Float(8.333273232e-03f), r, Float(4.166635498e-02f));
  const Float q2 = fma(Float(1.991426252e-04f), r, Float(1.394109800e-03f));
  return fma(s, fma(fma(q2, s, q1), s, q0), r);
}

// e^x for x in [-87.3, 88.3]; NaN stays NaN.
CHAINRULE_INLINE Float boundedExp(Float x) {
  Float n;
  Int shifted;
  const Float r = reduceExponent(x, n, shifted);
  return (expm1Reduced(r) + Float(1.0f)) * powerOfTwo(shifted, 0);
}

CHAINRULE_INLINE Float exp(Float x) {
  Float n;
  Int shifted;
  const Float r = reduceExponent(x, n, shifted);
  const Int bits = bitsOf(expm1Reduced(r) + Float(1.0f)) + shiftLeft<23>(shifted);  // n up to 128, where 2^n itself overflows
  const Float y = andBits(floatOf(bits), x >= Float(-87.33654f));
  return select(x <= Float(88.72283f), y, x + Float(__builtin_inff()));  // inf, or NaN
}

CHAINRULE_INLINE Float expm1(Float a) {
  const Float x = maxOr(Float(-40.0f), minOr(Float(89.0f), a));
  Float n;
  Int shifted;
  const Float r = reduceExponent(x, n, shifted);
  const Float p = expm1Reduced(r);
  // 2^n (p + 1) - 1, half as large so that n = 128 does not overflow too early.
  const Float half = powerOfTwo(shifted, -1);
  const Float scaled = fma(half, p, half - Float(0.5f)) * Float(2.0f);
  return select(n == Float(0.0f), p, scaled);
}

// log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)], without the first term f.
CHAINRULE_INLINE Float logTail(Float f) {
  const Float f2 = f * f, f4 = f2 * f2;
  const Float q0 = fma(Float(-2.500000894e-01f), f, Float(3.333331347e-01f)), q1 = fma(Float(-1.666804552e-01f), f, Float(2.000214309e-01f));
  const Float q2 = fma(Float(-1.240428910e-01f), f, Float(1.421906352e-01f)), q3 = fma(Float(-1.168524697e-01f), f, Float(1.189071238e-01f));
  const Float high = fma(Float(6.752707064e-02f), f4, fma(q3, f2, q2));
  return fma(f2 * f, fma(high, f4, fma(q1, f2, q0)), f2 * Float(-0.5f));
}

// a = m 2^e with m in [sqrt(1/2), sqrt(2)), for positive normal a.
CHAINRULE_INLINE Float splitExponent(Float a, Float& e) {
  const Int bits = bitsOf(a) - Int(0x3F3504F3);  // sqrt(1/2)
  e = toFloat(shiftRight<23>(bits));
  return floatOf((bits & Int(0x7FFFFF)) + Int(0x3F3504F3));
}

// The values of log outside (0, inf): -inf at zero and denormals, NaN below, inf and NaN as they are.
CHAINRULE_INLINE Float logEdges(Float a, Float result) {
  const Float smallest(1.17549435e-38f), infinity(__builtin_inff());
  result = select(a < smallest, select(abs(a) < smallest, -infinity, Float(__builtin_nanf(""))), result);
  return select(a < infinity, result, a);
}

CHAINRULE_INLINE Float log(Float a) {
  Float e;
  const Float f = splitExponent(a, e) - Float(1.0f);
  const Float low = fma(e, Float(-1.9046542121e-09f), logTail(f));
  // f + e ln2 with the rounding error of the sum kept.
  const Float high = fma(e, Float(6.9314718246e-01f), f);
  return logEdges(a, high + low);
}

CHAINRULE_INLINE Float log1p(Float a) {
  const Float u = a + Float(1.0f);
  const Float lost = select(a < Float(1.0f), a - (u - Float(1.0f)), Float(1.0f) - (u - a));  // what rounding took from 1 + a
  Float e;
  const Float f = splitExponent(u, e) - Float(1.0f);
  const Float low = fma(e, Float(-1.9046542121e-09f), logTail(f)) + lost / u;
  const Float high = fma(e, Float(6.9314718246e-01f), f);
  const Float result = select(a < Float(__builtin_inff()), logEdges(u, high + low), a);
  return select(abs(a) < Float(5.9604645e-08f), a, result);
}

CHAINRULE_INLINE Float sigmoid(Float a) {
  const Mask negative = a < Float(0.0f);
  const Float lowest(-87.33654f), x = -abs(a), e = boundedExp(maxOr(lowest, x));
  const Float d = Float(1.0f) + e, lost = e - (d - Float(1.0f));
  const Float y = select(negative, andBits(e, x >= lowest), Float(1.0f)) / d;
  const Float inverse = select(negative, Float(1.0f) - y, y);  // 1 / d, to correct for what rounding took from d
  return fma(y * -lost, inverse, y);
}

CHAINRULE_INLINE Float tanh(Float a) {
  const Float x = abs(a), z = a * a, z2 = z * z;
  const Float q0 = fma(Float(1.333140582e-01f), z, Float(-3.333328068e-01f)), q1 = fma(Float(2.062823996e-02f), z, Float(-5.373651534e-02f));
  const Float q = fma(fma(Float(-5.692558363e-03f), z2, q1), z2, q0);
  const Float small = fma(q * z, a, a);
  const Float bounded = minOr(Float(10.0f), x);  // tanh is 1 from 9.02 on
  const Float large = Float(1.0f) - Float(2.0f) / (boundedExp(bounded + bounded) + Float(1.0f));
  return select(x < Float(0.625f), small, orBits(large, signOf(a)));
}

CHAINRULE_INLINE Float erf(Float a) {
  const Float x = abs(a), z = a * a, z2 = z * z;
  const Float q0 = fma(Float(-3.761262894e-01f), z, Float(1.283791661e-01f)), q1 = fma(Float(-2.685573138e-02f), z, Float(1.128362566e-01f));
  const Float q2 = fma(Float(-8.049769676e-04f), z, Float(5.192405079e-03f));
  const Float q = fma(fma(fma(Float(7.996649947e-05f), z2, q2), z2, q1), z2, q0);
  const Float small = fma(q, a, a);
  const Float t = minOr(Float(3.93f), x), t2 = t * t, t4 = t2 * t2;  // erf is 1 from there on
  const Float p0 = fma(Float(1.129520893e+00f), t, Float(-1.758879807e-04f)), p1 = fma(Float(1.082940772e-01f), t, Float(6.333345175e-01f));
  const Float p2 = fma(Float(4.174661823e-03f), t, Float(-2.512869239e-02f)), p3 = fma(Float(2.116198812e-05f), t, Float(-4.352213291e-04f));
  const Float p = fma(fma(p3, t2, p2), t4, fma(p1, t2, p0));  // erfc(t) = exp(-p)
  const Float large = Float(1.0f) - boundedExp(-p);
  return select(x < Float(0.925f), small, orBits(large, signOf(a)));
}

// 2/pi as a 256-bit fraction: exact reduction of any finite angle, one lane at a time. Angles this large are rare.
CHAINRULE_INLINE float reduceHugeAngle(float x, int32_t& quadrant) {
  constexpr uint32_t words[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
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
  __extension__ unsigned __int128 quadrants = (__extension__ (unsigned __int128)(mantissa * window[0]) << 32);
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

// |a|^b through log in two floats (about 40 bits), so that b log a is good to an ulp of the result.
CHAINRULE_INLINE Float powMagnitude(Float a, Float b) {
  Float e;
  const Float m = splitExponent(a, e);
  const Float f = m - Float(1.0f), d = m + Float(1.0f);
  const Float dLow = m - (d - Float(1.0f));
  const Float s = f / d;
  const Float sLow = (fma(-s, d, f) - s * dLow) / d;  // s + sLow = (m - 1) / (m + 1)
  const Float z = s * s, zLow = fma(s, s, -z) + (s + s) * sLow;
  Float q(9.778212756e-02f);
  q = fma(q, z, Float(1.108986437e-01f));
  q = fma(q, z, Float(1.428598613e-01f));
  q = fma(q, z, Float(1.999999881e-01f));
  // log m = 2 s (1 + z / 3 + z^2 q)
  const Float t = z * Float(3.3333334327e-01f);
  const Float tLow = fma(z, Float(3.3333334327e-01f), -t) + fma(z, Float(-9.9341077586e-09f), zLow * Float(3.3333334e-01f));
  const Float w = fma(z * z, q, tLow);
  const Float u = s * t, uLow = fma(s, t, -u) + fma(s, w, sLow * t);
  const Float l1 = s + u, l1Low = (u - (l1 - s)) + (uLow + sLow);
  const Float l = l1 + l1, lLow = l1Low + l1Low;
  // + e ln2; e * 0.6931457… is exact (16 + 8 bits).
  const Float c = e * Float(6.9314575195e-01f);
  const Float high = c + l;
  const Float v = high - c;
  const Float low = ((c - (high - v)) + (l - v)) + fma(e, Float(1.4286067653e-06f), lLow);
  const Float logHigh = high + low, logLow = low - (logHigh - high);
  // exp(b (logHigh + logLow))
  const Float p = b * logHigh;
  const Float pLow = fma(b, logHigh, -p) + b * logLow;
  const Float x = maxOr(Float(-104.0f), minOr(Float(89.0f), p));
  Float n;
  Int shifted;
  const Float r = reduceExponent(x, n, shifted) + select(abs(p) < Float(104.0f), pLow, Float(0.0f));
  // In two steps, for results near both ends of the range.
  const Int whole = toInt(n), half = shiftRight<1>(whole);
  return (expm1Reduced(r) + Float(1.0f)) * floatOf(shiftLeft<23>(half + Int(127))) * floatOf(shiftLeft<23>(whole - half + Int(127)));
}

CHAINRULE_INLINE Float pow(Float a, Float b) {
  const Float zero(0.0f), one(1.0f), infinity(__builtin_inff()), nan(__builtin_nanf(""));
  const Float x = select(abs(a) < Float(1.17549435e-38f), zero, abs(a));
  Float r = powMagnitude(x, b);
  const Float inverse = select(b < zero, infinity, zero);  // of zero
  r = select(x == zero, inverse, r);
  r = select(x == infinity, select(b < zero, zero, infinity), r);
  r = select(abs(b) == infinity, select(x == one, one, select((x > one) == (b > zero), infinity, zero)), r);
  const Mask integer = floor(b) == b;
  const Mask odd = integer & (abs(b) < Float(16777216.0f)) & ((toInt(b) & Int(1)) == Int(1));
  const Mask negative = bitsOf(a) < Int(0);
  r = select(negative & odd, -r, r);
  r = select((a < zero) & (x != zero) & (x != infinity) & !integer, nan, r);
  r = select((a != a) | (b != b), nan, r);
  return select((b == zero) | (a == one), one, r);
}

// --- The rest of the table of primitives -------------------------------------------------------------------------------------
CHAINRULE_INLINE Float sign(Float a) { return select(a > Float(0.0f), Float(1.0f), select(a < Float(0.0f), Float(-1.0f), a)); }
CHAINRULE_INLINE Int sign(Int a) { return toLanes(a > Int(0)) - toLanes(a < Int(0)); }
CHAINRULE_INLINE Float relu(Float a) { return maxOr(Float(0.0f), a); }
CHAINRULE_INLINE Float minimum(Float a, Float b) { return select(a != a, a, minOr(a, b)); }  // NaN wins
CHAINRULE_INLINE Float maximum(Float a, Float b) { return select(a != a, a, maxOr(a, b)); }
CHAINRULE_INLINE Int minimum(Int a, Int b) { return select(b < a, b, a); }
CHAINRULE_INLINE Int maximum(Int a, Int b) { return select(a < b, b, a); }
CHAINRULE_INLINE Float select(Int condition, Float a, Float b) { return select(condition != Int(0), a, b); }
CHAINRULE_INLINE Int select(Int condition, Int a, Int b) { return select(condition != Int(0), a, b); }
CHAINRULE_INLINE Float floorDivide(Float a, Float b) { return floor(a / b); }

CHAINRULE_INLINE Int floorDivide(Int a, Int b) {  // 0 when dividing by 0
  int32_t x[lanes], y[lanes];
  store(x, a);
  store(y, b);
  for (int i = 0; i < lanes; ++i) {
    const int64_t n = x[i], d = y[i];
    x[i] = d == 0 ? 0 : int32_t(n / d - ((n % d != 0) & ((n < 0) != (d < 0))));
  }
  return load(x);
}
CHAINRULE_INLINE Int floorMod(Int a, Int b) { return a - floorDivide(a, b) * b; }

// The remainder with the sign of b. Exact: |q| < 2^22 leaves an exact fma; larger quotients go lane by lane.
CHAINRULE_INLINE float longRemainder(float a, float b) {
  double r = __builtin_fabs(double(a)), d = __builtin_fabs(double(b));
  if (!(r < double(__builtin_inff())) || d != d || d == 0) return __builtin_nanf("");
  if (!(d < double(__builtin_inff()))) return a;
  double step = d;
  while (step <= r) step *= 2;
  for (; step >= d; step *= 0.5) {
    if (r >= step) r -= step;
  }
  return float(a < 0 ? -r : r);
}
CHAINRULE_INLINE Float floorMod(Float a, Float b) {
  const Float zero(0.0f), q = trunc(a / b);
  Float r = fma(-q, b, a);  // between -b and b, up to one b when the quotient was rounded
  r = select(((r < zero) & (a > zero)) | ((r > zero) & (a < zero)), r + floatOf(bitsOf(abs(b)) ^ bitsOf(signOf(a))), r);
  const Mask simple = (abs(q) < Float(4194304.0f)) & (abs(b) < Float(__builtin_inff()));
  if (any(!simple)) {
    float x[lanes], y[lanes], rest[lanes], quotient[lanes];
    store(x, a);
    store(y, b);
    store(rest, r);
    store(quotient, q);
    for (int i = 0; i < lanes; ++i) {
      if (!(__builtin_fabsf(quotient[i]) < 4194304.0f && __builtin_fabsf(y[i]) < __builtin_inff())) rest[i] = longRemainder(x[i], y[i]);
    }
    r = load(rest);
  }
  return select((r != zero) & ((r < zero) == (b > zero)), r + b, r);
}

CHAINRULE_INLINE Int toUint(Float a) {  // [2^31, 2^32) as their u32 bits
  const Float limit(2147483648.0f);
  return select(a >= limit, toInt(a - limit) + Int(INT32_MIN), toInt(a));
}
CHAINRULE_INLINE Float uintToFloat(Int a) {
  // Two exact halves, one rounding.
  return fma(toFloat(shiftRightLogical<16>(a)), Float(65536.0f), toFloat(a & Int(65535)));
}
