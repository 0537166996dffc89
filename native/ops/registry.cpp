#include "ops/registry.h"

#include <unordered_map>

namespace chainrule {
namespace {

std::unordered_map<std::string_view, const OpDef*> gather() {
  std::unordered_map<std::string_view, const OpDef*> table;
  for (const auto& list :
       {ops::argOps(),         ops::attentionOps(),  ops::convInt8Ops(),  ops::convOps(),     ops::cumulativeOps(),
        ops::elementwiseOps(), ops::factorOps(),     ops::gatherOps(),    ops::groupOps(),    ops::islandOps(),
        ops::islandSumsOps(),  ops::joinOps(),       ops::layerNormOps(), ops::matmulOps(),   ops::momentsOps(),
        ops::moveOps(),        ops::orthogonalOps(), ops::panelOps(),     ops::poolOps(),     ops::quantizedOps(),
        ops::randomOps(),      ops::recurrentOps(),  ops::reduceOps(),    ops::rowChainOps(), ops::rowGraphOps(),
        ops::softmaxOps(),     ops::solveOps(),      ops::sortOps(),      ops::sourceOps(),   ops::standardizeOps(),
        ops::viewOps(),        ops::winogradOps()}) {
    for (const OpDef& op : list) table.emplace(op.name, &op);
  }
  return table;
}

const std::unordered_map<std::string_view, const OpDef*>& table() {
  // Leaked on purpose: ops outlive every environment, and static destructors would run under live threads.
  static const auto* ops = new std::unordered_map<std::string_view, const OpDef*>(gather());
  return *ops;
}

}  // namespace

const OpDef* findOp(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : found->second;
}

std::vector<std::string_view> opNames() {
  std::vector<std::string_view> names;
  for (const auto& [name, op] : table()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace chainrule
