#include "cuda/queue.h"

namespace chainrule::cuda {

const Launcher* findLauncher(std::string_view op) {
  for (const Launchers& list :
       {attentionLaunchers(), convLaunchers(), factorLaunchers(), gatherLaunchers(), islandLaunchers(), joinLaunchers(),
        lineLaunchers(), matmulLaunchers(), momentsLaunchers(), moveLaunchers(), poolLaunchers(), randomLaunchers(),
        recurrentLaunchers(), reduceLaunchers(), layerNormLaunchers(), rowLaunchers(), solveLaunchers(),
        sortLaunchers()}) {
    for (const Launcher& launcher : list) {
      if (launcher.op == op) return &launcher;
    }
  }
  return nullptr;
}

}  // namespace chainrule::cuda
