#include "text/hash.h"

#include <bit>
#include <cstring>
#include <utility>

namespace chainrule::text {
namespace {

constexpr uint64_t k0 = 0xc3a5c85c97cb3127ULL, k1 = 0xb492b66fbe98f273ULL, k2 = 0x9ae16a3b2f90404fULL;

uint64_t load64(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

uint32_t load32(const char* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

uint64_t mixShift(uint64_t word) { return word ^ (word >> 47); }

uint64_t mix16(uint64_t u, uint64_t v, uint64_t factor) {
  const uint64_t a = mixShift((u ^ v) * factor);
  return mixShift((v ^ a) * factor) * factor;
}

uint64_t upTo16(const char* s, uint64_t size) {
  const uint64_t factor = k2 + size * 2;
  if (size >= 8) {
    const uint64_t a = load64(s) + k2, b = load64(s + size - 8);
    return mix16(std::rotr(b, 37) * factor + a, (std::rotr(a, 25) + b) * factor, factor);
  }
  if (size >= 4) return mix16(size + (uint64_t(load32(s)) << 3), load32(s + size - 4), factor);
  if (size == 0) return k2;
  const auto byte = [s](uint64_t i) { return uint32_t(uint8_t(s[i])); };
  const uint32_t y = byte(0) + (byte(size >> 1) << 8), z = uint32_t(size) + (byte(size - 1) << 2);
  return mixShift(y * k2 ^ z * k0) * k2;
}

uint64_t upTo32(const char* s, uint64_t size) {
  const uint64_t factor = k2 + size * 2;
  const uint64_t a = load64(s) * k1, b = load64(s + 8), c = load64(s + size - 8) * factor,
                 d = load64(s + size - 16) * k2;
  return mix16(std::rotr(a + b, 43) + std::rotr(c, 30) + d, a + std::rotr(b + k2, 18) + c, factor);
}

uint64_t upTo64(const char* s, uint64_t size) {
  const uint64_t factor = k2 + size * 2;
  const uint64_t a = load64(s) * k2, b = load64(s + 8), c = load64(s + size - 8) * factor,
                 d = load64(s + size - 16) * k2;
  const uint64_t y = std::rotr(a + b, 43) + std::rotr(c, 30) + d;
  const uint64_t z = mix16(y, a + std::rotr(b + k2, 18) + c, factor);
  const uint64_t e = load64(s + 16) * factor, f = load64(s + 24), g = (y + load64(s + size - 32)) * factor,
                 h = (z + load64(s + size - 24)) * factor;
  return mix16(std::rotr(e + f, 43) + std::rotr(g, 30) + h, e + std::rotr(f + a, 18) + g, factor);
}

using Pair = std::pair<uint64_t, uint64_t>;

Pair weak32(const char* s, uint64_t a, uint64_t b) {
  const uint64_t w = load64(s), x = load64(s + 8), y = load64(s + 16), z = load64(s + 24);
  a += w;
  b = std::rotr(b + a + z, 21);
  const uint64_t c = a;
  a += x + y;
  b += std::rotr(a, 44);
  return {a + z, b + c};
}

uint64_t longer(const char* s, uint64_t size) {
  constexpr uint64_t seed = 81;
  uint64_t x = seed * k2 + load64(s), y = seed * k1 + 113, z = mixShift(y * k2 + 113) * k2;
  Pair v{0, 0}, w{0, 0};
  // The last block of 64 bytes may overlap the one before it.
  const char* const end = s + ((size - 1) / 64) * 64;
  const char* const last = end + ((size - 1) & 63) - 63;
  do {
    x = std::rotr(x + y + v.first + load64(s + 8), 37) * k1;
    y = std::rotr(y + v.second + load64(s + 48), 42) * k1;
    x ^= w.second;
    y += v.first + load64(s + 40);
    z = std::rotr(z + w.first, 33) * k1;
    v = weak32(s, v.second * k1, x + w.first);
    w = weak32(s + 32, z + w.second, y + load64(s + 16));
    std::swap(z, x);
    s += 64;
  } while (s != end);
  const uint64_t factor = k1 + ((z & 0xff) << 1);
  s = last;
  w.first += (size - 1) & 63;
  v.first += w.first;
  w.first += v.first;
  x = std::rotr(x + y + v.first + load64(s + 8), 37) * factor;
  y = std::rotr(y + v.second + load64(s + 48), 42) * factor;
  x ^= w.second * 9;
  y += v.first * 9 + load64(s + 40);
  z = std::rotr(z + w.first, 33) * factor;
  v = weak32(s, v.second * factor, x + w.first);
  w = weak32(s + 32, z + w.second, y + load64(s + 16));
  std::swap(z, x);
  return mix16(mix16(v.first, w.first, factor) + mixShift(y) * k0 + z, mix16(v.second, w.second, factor) + x, factor);
}

struct Sip {
  uint64_t a, b, c, d;
  void round() {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void take(uint64_t word) {
    d ^= word;
    round();
    round();
    a ^= word;
  }
};

}  // namespace

uint64_t fingerprint64(std::string_view text) {
  const uint64_t size = text.size();
  if (size <= 16) return upTo16(text.data(), size);
  if (size <= 32) return upTo32(text.data(), size);
  return size <= 64 ? upTo64(text.data(), size) : longer(text.data(), size);
}

uint64_t joinFingerprints(uint64_t first, uint64_t second) {
  constexpr uint64_t factor = 0xc6a4a7935bd1e995ULL;
  uint64_t result = first ^ factor;
  result ^= mixShift(second * factor) * factor;
  result *= factor;
  return mixShift(mixShift(result) * factor);
}

uint64_t sipHash(std::string_view text, const std::array<uint64_t, 2>& key) {
  Sip state{key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL,
            key[1] ^ 0x7465646279746573ULL};
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) state.take(load64(text.data() + at));
  uint64_t rest = uint64_t(text.size()) << 56;
  std::memcpy(&rest, text.data() + at, text.size() - at);
  state.take(rest);
  state.c ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace chainrule::text
