#include <algorithm>
#include <cstdio>
#include <utility>

#include "runtime/program.h"

// What was timed, as a table for people.

namespace chainrule {

std::string Program::profileText(int64_t batch, const Floor& floor) {
  const std::shared_ptr<Prepared> prepared = preparedFor(batch);
  const std::vector<double> times = std::exchange(prepared->times, {});
  double total = 0, least = 0;
  for (double time : times) total += time;
  const auto column = [](double value, bool known) {
    char cell[16];
    std::snprintf(cell, sizeof cell, known ? "%9.1f" : "        -", value);
    return std::string(cell);
  };
  const auto line = [&](double time, double flop, double bytes, double floorTime) {
    return column(time / 1e3, true) + column(100 * time / std::max(total, 1.0), true) + column(flop / time, flop > 0) +
           column(bytes / time, bytes > 0) + column(100 * floorTime / time, floorTime > 0) + "  ";
  };
  std::string text = "       us        %  GFLOP/s     GB/s  % floor  step\n";
  double flop = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const Step& step = prepared->plan.body[i];
    const double floorTime = std::max(step.flop / floor.gflops, double(step.bytes) / floor.streamGBs);
    flop += step.flop;
    least += floorTime;
    text += line(std::max(times[i], 1.0), step.flop, double(step.bytes), floorTime) + step.name +
            (step.parallel ? " [team]" : "") + (step.scope.empty() ? "" : "  # " + step.scope) + "\n";
  }
  return text + line(std::max(total, 1.0), flop, 0, least) + "total, memory " +
         std::to_string(prepared->plan.arenaBytes) + " bytes\n";
}

}  // namespace chainrule
