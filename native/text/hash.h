#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace chainrule::text {

// FarmHash's Fingerprint64 (farmhashna::Hash64 of https://github.com/google/farmhash), by which TensorFlow's
// to_hash_bucket_fast and so Keras's layers choose buckets.
uint64_t fingerprint64(std::string_view text);

// Joins two fingerprints into one, as TensorFlow's feature crosses do (tensorflow/core/platform/fingerprint.h).
uint64_t joinFingerprints(uint64_t first, uint64_t second);

// SipHash-2-4 (Aumasson and Bernstein, https://131002.net/siphash/), TensorFlow's to_hash_bucket_strong.
uint64_t sipHash(std::string_view text, const std::array<uint64_t, 2>& key);

}  // namespace chainrule::text
