#include <algorithm>
#include <cstdio>

#include "plan/plan.h"

namespace chainrule {
namespace {

std::string slotText(const Slot& slot) {
  static constexpr const char* names[] = {"arena", "kept", "constant", "variable", "input", "output"};
  const bool owned = slot.space == Space::arena || slot.space == Space::persistent;
  std::string text = names[int(slot.space)];
  if (owned) return text + "+" + std::to_string(slot.offset);
  text += std::to_string(slot.index);
  return slot.offset ? text + "+" + std::to_string(slot.offset) : text;
}

std::string stepText(const Plan& plan, const Step& step) {
  std::string text = "  " + step.name + " ";
  text.resize(std::max<size_t>(text.size(), 34), ' ');
  for (size_t i = 0; i < step.operands.size(); ++i) {
    if (int(i) == step.inputs)
      text += " -> ";
    else if (i > 0)
      text += ", ";
    text += slotText(plan.slots[step.operands[i]]);
  }
  if (step.parallel) text += "  [team]";
  if (!step.scope.empty()) text += "  # " + step.scope;
  return text + "\n";
}

}  // namespace

std::string describe(const Plan& plan) {
  std::string text = "plan for batch " + std::to_string(plan.batch) + ": " + std::to_string(plan.body.size()) +
                     " steps, arena " + std::to_string(plan.arenaBytes) + " bytes\n";
  if (!plan.prologue.empty())
    text += "prologue (once per version of the weights), " + std::to_string(plan.persistentBytes) + " bytes\n";
  for (const Step& step : plan.prologue) text += stepText(plan, step);
  text += "body\n";
  for (const Step& step : plan.body) text += stepText(plan, step);
  return text;
}

}  // namespace chainrule
