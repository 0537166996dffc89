// Elementary functions over Float and Int, written once. Errors are bounded by test/kernels/math.cpp (2 ulp, erf 3).
// A denormal argument counts as zero; denormal results depend on the thread's mode, which engine threads set to flush.
// NaN survives minOr/maxOr only as their second operand.

CHAINRULE_INLINE Mask operator==(Mask a, Mask b) { return (a & b) | !(a | b); }

// Polynomials are evaluated by halves (Estrin): the loops below are bound by latency, not by the number of
// multiplications.

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
  const Float q0 = fma(Float(1.666666716e-01f), r, Float(0.5f)),
              q1 = fma(Float(8.333273232e-03f), r, Float(4.166635498e-02f));
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
  const Int bits =
      bitsOf(expm1Reduced(r) + Float(1.0f)) + shiftLeft<23>(shifted);  // n up to 128, where 2^n itself overflows
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
  const Float q0 = fma(Float(-2.500000894e-01f), f, Float(3.333331347e-01f)),
              q1 = fma(Float(-1.666804552e-01f), f, Float(2.000214309e-01f));
  const Float q2 = fma(Float(-1.240428910e-01f), f, Float(1.421906352e-01f)),
              q3 = fma(Float(-1.168524697e-01f), f, Float(1.189071238e-01f));
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
  const Float lost =
      select(a < Float(1.0f), a - (u - Float(1.0f)), Float(1.0f) - (u - a));  // what rounding took from 1 + a
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
  const Float q0 = fma(Float(1.333140582e-01f), z, Float(-3.333328068e-01f)),
              q1 = fma(Float(2.062823996e-02f), z, Float(-5.373651534e-02f));
  const Float q = fma(fma(Float(-5.692558363e-03f), z2, q1), z2, q0);
  const Float small = fma(q * z, a, a);
  const Float bounded = minOr(Float(10.0f), x);  // tanh is 1 from 9.02 on
  const Float large = Float(1.0f) - Float(2.0f) / (boundedExp(bounded + bounded) + Float(1.0f));
  return select(x < Float(0.625f), small, orBits(large, signOf(a)));
}

CHAINRULE_INLINE Float erf(Float a) {
  const Float x = abs(a), z = a * a, z2 = z * z;
  const Float q0 = fma(Float(-3.761262894e-01f), z, Float(1.283791661e-01f)),
              q1 = fma(Float(-2.685573138e-02f), z, Float(1.128362566e-01f));
  const Float q2 = fma(Float(-8.049769676e-04f), z, Float(5.192405079e-03f));
  const Float q = fma(fma(fma(Float(7.996649947e-05f), z2, q2), z2, q1), z2, q0);
  const Float small = fma(q, a, a);
  const Float t = minOr(Float(3.93f), x), t2 = t * t, t4 = t2 * t2;  // erf is 1 from there on
  const Float p0 = fma(Float(1.129520893e+00f), t, Float(-1.758879807e-04f)),
              p1 = fma(Float(1.082940772e-01f), t, Float(6.333345175e-01f));
  const Float p2 = fma(Float(4.174661823e-03f), t, Float(-2.512869239e-02f)),
              p3 = fma(Float(2.116198812e-05f), t, Float(-4.352213291e-04f));
  const Float p = fma(fma(p3, t2, p2), t4, fma(p1, t2, p0));  // erfc(t) = exp(-p)
  const Float large = Float(1.0f) - boundedExp(-p);
  return select(x < Float(0.925f), small, orBits(large, signOf(a)));
}

// The upper tail of the normal distribution, for t in [0, 9]: 2^y, where y is nearly a parabola. The polynomial is
// fitted up to 7, its error weighted with the tail, which is nothing from there on.
CHAINRULE_INLINE Float normalTail(Float t) {
  const Float t2 = t * t, t4 = t2 * t2;
  const Float p0 = fma(Float(-4.591982961e-01f), t, Float(-1.151106000e+00f)),
              p1 = fma(Float(7.126864977e-03f), t, Float(-5.253361166e-02f));
  const Float p2 = fma(Float(-1.612938358e-04f), t, Float(-1.917035552e-04f)),
              p3 = fma(Float(-2.334948931e-06f), t, Float(3.373781510e-05f));
  const Float y = fma(fma(fma(p3, t2, p2), t4, fma(p1, t2, p0)), t, Float(-1.0f));
  const Float magic(12582912.0f), shifted = y + magic, f = y - (shifted - magic);  // as in reduceExponent
  const Float q0 = fma(Float(2.402264774e-01f), f, Float(6.931471825e-01f)),
              q1 = fma(Float(9.618436918e-03f), f, Float(5.550332367e-02f));
  const Float q2 = fma(Float(1.535336196e-04f), f, Float(1.339887385e-03f));
  const Float f2 = f * f, power = fma(fma(fma(q2, f2, q1), f2, q0), f, Float(1.0f));
  return floatOf(bitsOf(power) + shiftLeft<23>(bitsOf(shifted)));
}
CHAINRULE_INLINE Float normalTailArgument(Float a) { return minOr(Float(9.0f), abs(a)); }

// a * (the normal distribution up to a) = relu(a) - |a| tail(|a|), without the cancellation of 1 + erf.
CHAINRULE_INLINE Float gelu(Float a) {
  const Float t = normalTailArgument(a);
  return maxOr(Float(0.0f), a) - t * normalTail(t);
}
// Its derivative. Below zero it is tail(t) - t density(t) = tail(t) k(t); above zero it is what that lacks to 1.
CHAINRULE_INLINE Float geluSlope(Float a) {
  const Float t = normalTailArgument(a), t2 = t * t, t4 = t2 * t2;
  const Float k0 = fma(Float(-6.366015673e-01f), t, Float(-7.978857160e-01f)),
              k1 = fma(Float(1.936645247e-02f), t, Float(-1.091033295e-01f));
  const Float k2 = fma(Float(-1.068594749e-03f), t, Float(-1.219812257e-04f)),
              k3 = fma(Float(-4.499042916e-05f), t, Float(3.218776546e-04f));
  const Float high = fma(fma(Float(2.579495231e-06f), t2, k3), t2, k2);
  const Float below = normalTail(t) * fma(fma(high, t4, fma(k1, t2, k0)), t, Float(1.0f));
  return select(a < Float(0.0f), below, Float(1.0f) - below);
}
