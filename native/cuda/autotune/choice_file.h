#pragma once

#include <sys/types.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace chainrule::cuda {

// What was measured as the fastest way to compute something.
struct Choice {
  std::string name;
  std::string times;  // of all ways, for people
};

// Choices by machine and by what is computed, in a file of text that a person can read:
//
//   chainrule autotune 1
//
//   [NVIDIA H100 80GB HBM3 (9.0), cuBLASLt 13.1.2]
//   <what is computed> <tab> <name of the way> <tab> <times>
//
// Several threads and processes may use one file at a time. What stands there stays: of two that measured the same, the
// first one's choice is everybody's. Throws IO and FORMAT, which name the file.
class ChoiceFile {
 public:
  // The one for this path, in this process.
  static ChoiceFile& at(const std::string& path);

  std::optional<Choice> find(const std::string& machine, const std::string& key);
  // False, and nothing is written, if there is a choice by now that is not named `instead`.
  bool add(const std::string& machine, const std::string& key, const Choice& choice, std::string_view instead);

 private:
  using Choices = std::map<std::string, std::map<std::string, Choice>>;
  // Tells whether the file is the one that was read last; of one that changed a moment ago nobody can tell.
  struct State {
    dev_t device = 0;
    ino_t number = 0;
    off_t bytes = -1;
    timespec changed = {};
    bool operator==(const State& other) const {
      return device == other.device && number == other.number && bytes == other.bytes &&
             changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
    }
  };

  explicit ChoiceFile(std::string path) : path_(std::move(path)) {}
  void read(int file);
  void parse(std::string_view text);
  void replace() const;
  [[noreturn]] void failCall(const char* what) const;

  const std::string path_;
  std::mutex mutex_;
  Choices choices_;
  State state_;
};

}  // namespace chainrule::cuda
