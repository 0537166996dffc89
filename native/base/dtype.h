#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace chainrule {

// Element types of values. i64 and f64 exist only at the JavaScript border, where they are range-checked and converted;
// i8 is what quantized weights are stored in, and only ops made for those take it; bf16 (bfloat16) is for storage, too:
// it is widened to f32 where it is read.
enum class DType : uint8_t { f32, i32, u8, boolean, u32, i8, bf16 };

constexpr int64_t byteSize(DType type) {
  if (type == DType::bf16) return 2;
  return type == DType::u8 || type == DType::boolean || type == DType::i8 ? 1 : 4;
}

constexpr std::string_view dtypeName(DType type) {
  switch (type) {
    case DType::f32:
      return "float32";
    case DType::i32:
      return "int32";
    case DType::u8:
      return "uint8";
    case DType::boolean:
      return "bool";
    case DType::u32:
      return "uint32";
    case DType::i8:
      return "int8";
    case DType::bf16:
      return "bfloat16";
  }
  return "?";
}

constexpr std::optional<DType> dtypeFromName(std::string_view name) {
  for (DType type : {DType::f32, DType::i32, DType::u8, DType::boolean, DType::u32, DType::i8, DType::bf16}) {
    if (dtypeName(type) == name) return type;
  }
  return std::nullopt;
}

}  // namespace chainrule
