#pragma once

#include "text/source.h"

namespace chainrule::text {

// The bin of each combination of features, one element of every source, as tf.sparse.cross_hashed chooses it.
std::vector<int32_t> crossed(const std::vector<Source>& features, int64_t bins);

}  // namespace chainrule::text
