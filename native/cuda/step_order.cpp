#include "cuda/step_order.h"

#include <algorithm>

namespace chainrule::cuda {
namespace {

struct Range {
  const std::byte *begin, *end;
};
using Ranges = std::vector<Range>;

bool overlap(const Ranges& a, const Ranges& b) {
  return std::any_of(a.begin(), a.end(), [&](const Range& x) {
    return std::any_of(b.begin(), b.end(), [&](const Range& y) { return x.begin < y.end && y.begin < x.end; });
  });
}

struct Touched {
  Ranges read, written;

  Touched(const Step& step, const DeviceFrame& frame) {
    for (size_t i = 0; i < step.operands.size(); ++i)
      add(i < size_t(step.inputs) ? read : written, step.operands[i], frame);
    add(written, step.sharedScratch, frame);
  }
  void add(Ranges& to, uint32_t slot, const DeviceFrame& frame) {
    const std::byte* const begin = static_cast<const std::byte*>(frame.slots[slot]);
    if (begin && frame.slotBytes[slot] > 0) to.push_back({begin, begin + frame.slotBytes[slot]});
  }
  bool conflicts(const Touched& later) const {
    return overlap(written, later.read) || overlap(written, later.written) || overlap(read, later.written);
  }
};

}  // namespace

std::vector<std::vector<size_t>> dependenciesOf(const std::vector<Step>& steps, const DeviceFrame& frame) {
  std::vector<Touched> touched;
  for (const Step& step : steps) touched.emplace_back(step, frame);
  std::vector<std::vector<size_t>> dependencies(steps.size());
  std::vector<std::vector<bool>> waits(steps.size());  // for which steps, at whatever remove
  for (size_t i = 0; i < steps.size(); ++i) {
    waits[i].assign(i, false);
    for (size_t j = i; j-- > 0;) {
      if (waits[i][j] || !touched[j].conflicts(touched[i])) continue;
      dependencies[i].push_back(j);
      waits[i][j] = true;
      for (size_t k = 0; k < j; ++k) waits[i][k] = waits[i][k] || waits[j][k];
    }
  }
  return dependencies;
}

std::vector<size_t> latestFirst(const std::vector<std::vector<size_t>>& dependencies) {
  std::vector<size_t> order;
  std::vector<bool> done(dependencies.size(), false);
  const auto ready = [&](size_t i) {
    return !done[i] && std::ranges::all_of(dependencies[i], [&](size_t j) { return bool(done[j]); });
  };
  while (order.size() < dependencies.size()) {
    size_t next = dependencies.size() - 1;
    while (!ready(next)) --next;
    done[next] = true;
    order.push_back(next);
  }
  return order;
}

}  // namespace chainrule::cuda
