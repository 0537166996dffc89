#include <sstream>

#include "ir/graph.h"

namespace chainrule {
namespace {

std::string attrText(const Attrs::Value& value) {
  std::ostringstream text;
  if (const auto* number = std::get_if<int64_t>(&value)) text << *number;
  if (const auto* number = std::get_if<double>(&value)) text << *number;
  if (const auto* string = std::get_if<std::string>(&value)) text << '"' << *string << '"';
  const auto list = [&](const auto& items) {
    text << '[';
    for (size_t i = 0; i < items.size(); ++i) text << (i ? "," : "") << items[i];
    text << ']';
  };
  if (const auto* items = std::get_if<std::vector<int64_t>>(&value)) list(*items);
  if (const auto* items = std::get_if<std::vector<double>>(&value)) list(*items);
  return text.str();
}

std::string typeText(const ValueType& type) {
  return std::string(dtypeName(type.dtype)) + toString(type.shape) + (type.layout == Layout::panel16 ? " panel16" : "");
}

// What a source node stands for, in place of its index.
std::string sourceText(const Graph& graph, const Node& node) {
  const size_t index = size_t(node.attrs.integer("index", 0));
  if (node.op->name == "input") return " \"" + graph.inputNames[index] + "\"";
  if (node.op->name == "variable") return " \"" + graph.variables[index].name + "\"";
  if (node.op->name == "constant") {
    const Constant& constant = graph.constants[index];
    std::ostringstream text;
    if (constant.type.shape.empty() && constant.type.dtype == DType::f32) {
      text << ' ' << *reinterpret_cast<const float*>(constant.data.data());
    } else if (constant.type.shape.empty() && byteSize(constant.type.dtype) == 4) {
      text << ' ' << *reinterpret_cast<const int32_t*>(constant.data.data());
    }
    return text.str();
  }
  return "";
}

std::string jsonString(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string describe(const Graph& graph) {
  std::ostringstream text;
  for (const Node& node : graph.nodes) {
    text << '%' << node.first << " = " << node.op->name << sourceText(graph, node);
    for (size_t i = 0; i < node.inputs.size(); ++i) text << (i ? ", %" : " %") << node.inputs[i];
    for (const auto& [name, value] : node.attrs.entries()) {
      if (!node.op->source) text << ' ' << name << '=' << attrText(value);
    }
    text << " -> ";
    for (int part = 0; part < node.parts; ++part) {
      text << (part ? ", " : "") << typeText(graph.type(node.first + ValueId(part)));
    }
    if (!node.origin.scope.empty()) text << "  # " << node.origin.scope;
    if (node.origin.segment != 0 && !node.origin.gradient) text << " (again for gradients)";
    text << '\n';
  }
  for (ValueId output : graph.outputs) text << "output %" << output << '\n';
  for (const Commit& commit : graph.commits) {
    if (commit.group) {
      text << "update group " << commit.target << " = %" << commit.value << '\n';
    } else {
      text << "update \"" << graph.variables[size_t(commit.target)].name << "\" = %" << commit.value << '\n';
    }
  }
  return text.str();
}

std::string toJSON(const Graph& graph) {
  std::ostringstream text;
  text << "{\"nodes\":[";
  for (size_t id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    text << (id ? "," : "") << "{\"op\":\"" << node.op->name << "\",\"id\":" << node.first << ",\"inputs\":[";
    for (size_t i = 0; i < node.inputs.size(); ++i) text << (i ? "," : "") << node.inputs[i];
    text << "],\"attrs\":{";
    bool first = true;
    for (const auto& [name, value] : node.attrs.entries()) {
      const auto* string = std::get_if<std::string>(&value);
      text << (first ? "" : ",") << jsonString(name) << ':' << (string ? jsonString(*string) : attrText(value));
      first = false;
    }
    text << "},\"parts\":[";
    for (int part = 0; part < node.parts; ++part) {
      const ValueType& type = graph.type(node.first + ValueId(part));
      text << (part ? "," : "") << "{\"dtype\":\"" << dtypeName(type.dtype) << "\",\"shape\":[";
      for (int i = 0; i < type.shape.size(); ++i) text << (i ? "," : "") << type.shape[i].encoded();
      text << "]}";
    }
    text << "],\"scope\":" << jsonString(node.origin.scope) << '}';
  }
  text << "],\"inputs\":[";
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    text << (i ? "," : "") << "{\"name\":" << jsonString(graph.inputNames[i]) << ",\"id\":" << graph.inputs[i] << '}';
  }
  text << "],\"outputs\":[";
  for (size_t i = 0; i < graph.outputs.size(); ++i) text << (i ? "," : "") << graph.outputs[i];
  text << "]}";
  return text.str();
}

}  // namespace chainrule
