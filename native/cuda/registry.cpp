#include "cuda/queue.h"

namespace chainrule::cuda {

const Launcher* findLauncher(std::string_view op) {
  for (const Launchers& list : {islandLaunchers(), matmulLaunchers(), poolLaunchers(), recurrentLaunchers(),
                                solveLaunchers(), factorLaunchers(), attentionLaunchers()}) {
    for (const Launcher& launcher : list) {
      if (launcher.op == op) return &launcher;
    }
  }
  return nullptr;
}

}  // namespace chainrule::cuda
