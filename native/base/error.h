#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace chainrule {

// Every failure inside the engine. `code` is the stable part ("SHAPE" becomes ERR_CHAINRULE_SHAPE at the border).
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

template <typename... Parts>
[[noreturn]] void fail(const char* code, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(code, text.str());
}

}  // namespace chainrule
