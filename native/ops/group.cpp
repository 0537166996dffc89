#include <cstring>

#include "cpu/kernel_table.h"
#include "ops/panels.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Groups: several variables as one flat vector in their physical layout, so that an optimizer is a few long loops.

namespace chainrule::ops {
namespace {

int groupAttr(const Attrs& attrs) { return int(attrs.integer("group", 0)); }

const ValueType& memberType(const Graph& graph, int group, int64_t member) {
  return graph.variables[size_t(graph.groups[size_t(group)].variables[size_t(member)])].type;
}

std::vector<ValueType> inferFlat(const InferContext& c) {
  return {typeOf(DType::f32, {Dim(groupLayout(c.graph, groupAttr(c.attrs)).size)})};
}

std::vector<ValueType> inferSlice(const InferContext& c) {
  return {memberType(c.graph, groupAttr(c.attrs), c.attrs.integer("member", 0))};
}

int64_t sliceOffset(const Graph& graph, const Attrs& attrs) {
  return groupLayout(graph, groupAttr(attrs)).offsets[size_t(attrs.integer("member", 0))] * 4;
}

int64_t memberOffset(const Graph& graph, const Attrs& attrs, int input, Layout layout) {
  const int group = groupAttr(attrs);
  return memberType(graph, group, input).layout == layout ? groupLayout(graph, group).offsets[size_t(input)] * 4 : -1;
}

Lowering lowerPack(const LowerContext& c) {
  struct Member {
    int64_t offset, physical, end;  // in elements; [offset + physical, end) is padding
    PanelShape panels;
    bool convert;
  };
  const int group = groupAttr(c.attrs());
  const GroupLayout layout = groupLayout(c.graph, group);
  std::vector<Member> members;
  for (size_t i = 0; i < c.in.size(); ++i) {
    const ValueType& type = memberType(c.graph, group, int64_t(i));
    const int64_t end = i + 1 < layout.offsets.size() ? layout.offsets[i + 1] : layout.size;
    const bool convert = type.layout != c.in[i].layout;
    const PanelShape panels = convert ? panelShape(c.in[i].dims) : PanelShape{};
    members.push_back({layout.offsets[i], physicalSize(type).value, end, panels, convert});
  }
  const auto launch = [members, packB = c.kernels.packB](const StepArgs& args) {
    for (size_t i = 0; i < members.size(); ++i) {
      const Member& member = members[i];
      const float* in = args.in<float>(int(i));
      float* out = args.out<float>() + member.offset;
      if (member.convert) {
        const Range range = args.split(member.panels.panels());
        packB(in, member.panels.columns, 1, member.panels.rows, member.panels.columns, out, range.begin, range.end);
      } else if (in != out) {  // else the planner had it computed in place
        const Range range = args.split(member.physical, 16);
        std::memcpy(out + range.begin, in + range.begin, size_t(range.end - range.begin) * 4);
      }
      if (args.member == 0) std::fill(out + member.physical, args.out<float>() + member.end, 0.0f);
    }
  };
  return {.launch = launch, .cost = double(layout.size) * 0.1};
}

const OpDef table[] = {
    {.name = "group", .infer = inferFlat, .source = true},
    {.name = "pack",
     .minInputs = 1,
     .maxInputs = 1 << 20,
     .infer = inferFlat,
     .lower = lowerPack,
     .inputOffset = memberOffset},
    // A member after an update: gradients are taken at the values current on entry, they don't flow back through an
    // optimizer.
    {.name = "groupSlice",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferSlice,
     .view = true,
     .differentiable = false,
     .viewOffset = sliceOffset},
};

}  // namespace

std::span<const OpDef> groupOps() { return table; }

}  // namespace chainrule::ops
