#include <cstdlib>
#include <random>

#include "check.h"

namespace check {
namespace {
int failures = 0;
const char* current = "";
std::mt19937 generator;
}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}

const std::vector<const KernelTable*>& tables() {
  static const std::vector<const KernelTable*> list = [] {
    std::vector<const KernelTable*> found;
    for (const char* isa : {"scalar", "avx2", "avxvnni", "avx512vnni", "avx512", "neon"}) {
      if (const KernelTable* table = tableFor(isa)) found.push_back(table);
    }
    if (const KernelTable* table = emulatedTable()) found.push_back(table);
    return found;
  }();
  return list;
}

void fail(const std::string& message) {
  if (++failures <= 40) std::printf("FAIL %s: %s\n", current, message.c_str());
}

uint32_t randomBits() { return generator(); }
void seedRandom(uint32_t seed) { generator.seed(seed); }

}  // namespace check

// kernel_tests [filter]: runs the cases whose name contains the filter.
int main(int count, char** arguments) {
  using namespace check;
  const char* given = std::getenv("CHAINRULE_SEED");
  const uint32_t seed = given ? uint32_t(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::printf("seed %u, isas:", seed);
  for (const KernelTable* table : tables()) std::printf(" [%s]", table->isa);
  std::printf(", chosen %s (%s)\n", std::string(isaName()).c_str(), std::string(isaReason()).c_str());
  int run = 0;
  const FlushDenormals flush;
  for (const Case& c : cases()) {
    if (count > 1 && !std::strstr(c.name, arguments[1])) continue;
    current = c.name;
    generator.seed(seed);
    c.run();
    ++run;
  }
  std::printf("%d kernel cases, %d failures\n", run, failures);
  return failures > 0;
}
