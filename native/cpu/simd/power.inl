// pow, remainders and what else the table of primitives needs beside math.inl.

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
  const Float tLow =
      fma(z, Float(3.3333334327e-01f), -t) + fma(z, Float(-9.9341077586e-09f), zLow * Float(3.3333334e-01f));
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
  return (expm1Reduced(r) + Float(1.0f)) * floatOf(shiftLeft<23>(half + Int(127))) *
         floatOf(shiftLeft<23>(whole - half + Int(127)));
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

CHAINRULE_INLINE Float sign(Float a) {
  return select(a > Float(0.0f), Float(1.0f), select(a < Float(0.0f), Float(-1.0f), a));
}
CHAINRULE_INLINE Int sign(Int a) { return toLanes(a > Int(0)) - toLanes(a < Int(0)); }
CHAINRULE_INLINE Float relu(Float a) { return maxOr(Float(0.0f), a); }
CHAINRULE_INLINE Float relu(Float a, float ceiling) { return minOr(Float(ceiling), relu(a)); }  // NaN stays
CHAINRULE_INLINE Float minimum(Float a, Float b) { return select(a != a, a, minOr(a, b)); }     // NaN wins
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
      if (!(__builtin_fabsf(quotient[i]) < 4194304.0f && __builtin_fabsf(y[i]) < __builtin_inff()))
        rest[i] = longRemainder(x[i], y[i]);
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
