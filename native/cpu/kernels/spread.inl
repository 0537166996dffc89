// Channels of groups side by side, as depthwise convolution wants them.

template <int64_t known>
CHAINRULE_INLINE void spreadBy(const float* x, int64_t count, int64_t in, int64_t out, float* y) {
  const int64_t each = known ? known : out;
  for (int64_t g = 0; g < count; ++g) {
    const float value = x[g * in];
#pragma GCC unroll 8
    for (int64_t q = 0; q < each; ++q) y[g * each + q] = value;
  }
}

static void spreadChannels(const float* x, int64_t channels, int64_t in, int64_t k, int64_t out, float* y,
                           int64_t pixelBegin, int64_t pixelEnd) {
  // The groups of all pixels lie one behind the other.
  const int64_t perPixel = channels / in, first = pixelBegin * perPixel, count = (pixelEnd - pixelBegin) * perPixel;
  const float* from = x + first * in + k;
  float* to = y + first * out;
  if (out == 1) return spreadBy<1>(from, count, in, out, to);
  if (out == 2) return spreadBy<2>(from, count, in, out, to);
  if (out == 3) return spreadBy<3>(from, count, in, out, to);
  if (out == 4) return spreadBy<4>(from, count, in, out, to);
  if (out == 8) return spreadBy<8>(from, count, in, out, to);
  spreadBy<0>(from, count, in, out, to);
}

// Chains over q ascending.
template <int64_t known>
CHAINRULE_INLINE void foldBy(const float* x, int64_t count, int64_t in, int64_t out, float* y) {
  const int64_t each = known ? known : out;
  for (int64_t g = 0; g < count; ++g) {
    float sum = x[g * each];
#pragma GCC unroll 8
    for (int64_t q = 1; q < each; ++q) sum += x[g * each + q];
    y[g * in] = sum;
  }
}

static void foldChannels(const float* x, int64_t channels, int64_t in, int64_t k, int64_t out, float* y,
                         int64_t pixelBegin, int64_t pixelEnd) {
  const int64_t perPixel = channels / in, first = pixelBegin * perPixel, count = (pixelEnd - pixelBegin) * perPixel;
  const float* from = x + first * out;
  float* to = y + first * in + k;
  if (out == 1) return foldBy<1>(from, count, in, out, to);
  if (out == 2) return foldBy<2>(from, count, in, out, to);
  if (out == 3) return foldBy<3>(from, count, in, out, to);
  if (out == 4) return foldBy<4>(from, count, in, out, to);
  if (out == 8) return foldBy<8>(from, count, in, out, to);
  foldBy<0>(from, count, in, out, to);
}
