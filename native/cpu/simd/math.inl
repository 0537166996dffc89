// Elementary functions over Float and Int, written once. Errors are bounded by test/kernels/math.cpp (2 ulp, erf 3).
// A denormal argument counts as zero; denormal results depend on the thread's mode, which engine threads set to flush.
// NaN survives minOr/maxOr only as their second operand.

CHAINRULE_INLINE Mask operator==(Mask a, Mask b) { return (a & b) | !(a | b); }

CHAINRULE_INLINE Float scaleByPower(Float a, Int n) {  // a * 2^n in two steps, for n in [-252, 254]
  const Int half = shiftRight<1>(n);
  const Float first = floatOf(shiftLeft<23>(half + Int(127))), second = floatOf(shiftLeft<23>(n - half + Int(127)));
  return a * first * second;
}

// x = n ln2 + r, |r| <= ln2 / 2; returns r.
CHAINRULE_INLINE Float reduceExponent(Float x, Float& n) {
  n = round(x * Float(1.4426950216e+00f));
  return fma(n, Float(-1.4286067653e-06f), fma(n, Float(-6.9314575195e-01f), x));
}

// (e^r - 1 - r) / r^2
CHAINRULE_INLINE Float expTail(Float r) {
  Float q(1.991426252e-04f);
  q = fma(q, r, Float(1.394109800e-03f));
  q = fma(q, r, Float(8.333273232e-03f));
  q = fma(q, r, Float(4.166635498e-02f));
  q = fma(q, r, Float(1.666666716e-01f));
  return fma(q, r, Float(0.5f));
}

CHAINRULE_INLINE Float exp(Float a) {
  const Float x = maxOr(Float(-104.0f), minOr(Float(89.0f), a));
  Float n;
  const Float r = reduceExponent(x, n);
  const Float p = fma(r * r, expTail(r), r) + Float(1.0f);
  return scaleByPower(p, toInt(n));
}

CHAINRULE_INLINE Float expm1(Float a) {
  const Float x = maxOr(Float(-40.0f), minOr(Float(89.0f), a));
  Float n;
  const Float r = reduceExponent(x, n);
  const Float p = fma(r * r, expTail(r), r);
  // 2^n (p + 1) - 1, half as large so that n = 128 does not overflow too early.
  const Float half = floatOf(shiftLeft<23>(toInt(n) + Int(126)));
  const Float scaled = fma(half, p, half - Float(0.5f)) * Float(2.0f);
  return select(n == Float(0.0f), p, scaled);
}

// log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)], without the first term f.
CHAINRULE_INLINE Float logTail(Float f) {
  Float q(6.752707064e-02f);
  q = fma(q, f, Float(-1.168524697e-01f));
  q = fma(q, f, Float(1.189071238e-01f));
  q = fma(q, f, Float(-1.240428910e-01f));
  q = fma(q, f, Float(1.421906352e-01f));
  q = fma(q, f, Float(-1.666804552e-01f));
  q = fma(q, f, Float(2.000214309e-01f));
  q = fma(q, f, Float(-2.500000894e-01f));
  q = fma(q, f, Float(3.333331347e-01f));
  const Float square = f * f;
  return fma(square * f, q, square * Float(-0.5f));
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
  const Float e = exp(-abs(a)), d = Float(1.0f) + e, lost = e - (d - Float(1.0f));
  const Mask negative = a < Float(0.0f);
  const Float y = select(negative, e, Float(1.0f)) / d;
  const Float inverse = select(negative, Float(1.0f) - y, y);  // 1 / d, to correct for what rounding took from d
  return fma(y * -lost, inverse, y);
}

CHAINRULE_INLINE Float tanh(Float a) {
  const Float x = abs(a), z = a * a;
  Float q(-5.692558363e-03f);
  q = fma(q, z, Float(2.062823996e-02f));
  q = fma(q, z, Float(-5.373651534e-02f));
  q = fma(q, z, Float(1.333140582e-01f));
  q = fma(q, z, Float(-3.333328068e-01f));
  const Float small = fma(q * z, a, a);
  const Float large = Float(1.0f) - Float(2.0f) / (exp(x + x) + Float(1.0f));
  return select(x < Float(0.625f), small, orBits(large, signOf(a)));
}

CHAINRULE_INLINE Float erf(Float a) {
  const Float x = abs(a), z = a * a;
  Float q(7.996649947e-05f);
  q = fma(q, z, Float(-8.049769676e-04f));
  q = fma(q, z, Float(5.192405079e-03f));
  q = fma(q, z, Float(-2.685573138e-02f));
  q = fma(q, z, Float(1.128362566e-01f));
  q = fma(q, z, Float(-3.761262894e-01f));
  q = fma(q, z, Float(1.283791661e-01f));
  const Float small = fma(q, a, a);
  const Float t = minOr(Float(3.93f), x);  // erf is 1 from there on
  Float p(2.116198812e-05f);               // erfc(t) = exp(-p)
  p = fma(p, t, Float(-4.352213291e-04f));
  p = fma(p, t, Float(4.174661823e-03f));
  p = fma(p, t, Float(-2.512869239e-02f));
  p = fma(p, t, Float(1.082940772e-01f));
  p = fma(p, t, Float(6.333345175e-01f));
  p = fma(p, t, Float(1.129520893e+00f));
  p = fma(p, t, Float(-1.758879807e-04f));
  const Float large = Float(1.0f) - exp(-p);
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
  const Float r = reduceExponent(x, n);
  const Mask finite = (abs(p) < Float(104.0f));
  const Float rest = select(finite, pLow, Float(0.0f));
  const Float rr = r + rest;
  return scaleByPower(fma(rr * rr, expTail(rr), rr) + Float(1.0f), toInt(n));
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
