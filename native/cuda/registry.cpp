#include "cuda/queue.h"

namespace chainrule::cuda {

const Launcher* findLauncher(std::string_view op) {
  for (const Launchers& list :
       {convLaunchers(), islandLaunchers(), matmulLaunchers(), reduceLaunchers(), rowLaunchers(), lineLaunchers(), moveLaunchers(), joinLaunchers(), gatherLaunchers(), sortLaunchers(), randomLaunchers()}) {
    for (const Launcher& launcher : list) {
      if (launcher.op == op) return &launcher;
    }
  }
  return nullptr;
}

}  // namespace chainrule::cuda
