#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace chainrule {

// The constant arguments of a node, by name. Few entries, so a sorted-free vector is the fastest map.
class Attrs {
 public:
  using Value = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

  void set(std::string name, Value value) {
    for (auto& entry : entries_) {
      if (entry.first == name) {
        entry.second = std::move(value);
        return;
      }
    }
    entries_.emplace_back(std::move(name), std::move(value));
  }

  bool has(std::string_view name) const { return find(name) != nullptr; }

  int64_t integer(std::string_view name, int64_t fallback) const {
    const Value* value = find(name);
    if (!value) return fallback;
    if (const auto* number = std::get_if<int64_t>(value)) return *number;
    if (const auto* number = std::get_if<double>(value); number && *number == double(int64_t(*number))) {
      return int64_t(*number);
    }
    fail("ATTR", "attribute \"", std::string(name), "\" must be an integer");
  }

  double real(std::string_view name, double fallback) const {
    const Value* value = find(name);
    if (!value) return fallback;
    if (const auto* number = std::get_if<int64_t>(value)) return double(*number);
    if (const auto* number = std::get_if<double>(value)) return *number;
    fail("ATTR", "attribute \"", std::string(name), "\" must be a number");
  }

  std::string text(std::string_view name, std::string fallback) const {
    const Value* value = find(name);
    if (!value) return fallback;
    if (const auto* string = std::get_if<std::string>(value)) return *string;
    fail("ATTR", "attribute \"", std::string(name), "\" must be a string");
  }

  std::vector<int64_t> integers(std::string_view name, std::vector<int64_t> fallback = {}) const {
    const Value* value = find(name);
    if (!value) return fallback;
    if (const auto* list = std::get_if<std::vector<int64_t>>(value)) return *list;
    fail("ATTR", "attribute \"", std::string(name), "\" must be a list of integers");
  }

  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }
  bool operator==(const Attrs& other) const { return entries_ == other.entries_ && extra == other.extra; }

  // A compiled detail that passes attach (the program of a fused island); its owner knows the type.
  std::shared_ptr<const void> extra;

 private:
  const Value* find(std::string_view name) const {
    for (const auto& entry : entries_) {
      if (entry.first == name) return &entry.second;
    }
    return nullptr;
  }
  std::vector<std::pair<std::string, Value>> entries_;
};

}  // namespace chainrule
