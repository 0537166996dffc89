#pragma once

#include "cpu/types.h"
#include "ir/graph.h"

namespace chainrule::ops {

inline cpu::PoolShape poolShape(const Attrs& attrs, const Dims& x, const Dims& y) {
  const auto size = attrs.integers("size"), strides = attrs.integers("strides"), padding = attrs.integers("padding");
  return {x[0], x[1], x[2], x[3], size[0], size[1], strides[0], strides[1], padding[0], padding[2], y[1], y[2]};
}

// A pool as attributes of the op before it: "pool" is its name, "pool.size" its attribute "size".
inline Attrs withPool(Attrs attrs, const Node& pool) {
  attrs.set("pool", std::string(pool.op->name));
  for (const auto& [name, value] : pool.attrs.entries()) attrs.set(std::string("pool.").append(name), value);
  return attrs;
}
inline Attrs poolAttrs(const Attrs& attrs) {
  Attrs pool;
  for (const auto& [name, value] : attrs.entries()) {
    if (name.starts_with("pool.")) pool.set(name.substr(5), value);
  }
  return pool;
}

}  // namespace chainrule::ops
