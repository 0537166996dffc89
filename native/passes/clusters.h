#pragma once

#include <vector>

#include "ir/graph.h"

namespace chainrule {

// Which nodes run as one. Every node belongs to a cluster; most are alone in theirs.
struct Clusters {
  std::vector<int> of;                     // by node
  std::vector<std::vector<NodeId>> nodes;  // by cluster, in id order
  std::vector<int> order;                  // clusters so that inputs come first
};

// Groups elementwise nodes of one iteration space into islands, and an island with the op whose result it finishes.
Clusters clusterElementwise(const Graph& graph);

}  // namespace chainrule
