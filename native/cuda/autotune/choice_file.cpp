#include "cuda/autotune/choice_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

#include "base/error.h"

namespace chainrule::cuda {
namespace {

constexpr std::string_view kHeader = "chainrule autotune 1";
constexpr time_t kSettled = 2;  // seconds after a change until the next one surely has another time stamp

struct Descriptor {
  int number;
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
};

template <typename Call>
auto untilNotInterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

ChoiceFile& ChoiceFile::at(const std::string& path) {
  static std::mutex mutex;
  static auto* const files = new std::map<std::string, std::unique_ptr<ChoiceFile>>;  // leaked: threads outlive main
  const std::lock_guard guard(mutex);
  std::unique_ptr<ChoiceFile>& file = (*files)[path];
  if (!file) file.reset(new ChoiceFile(path));
  return *file;
}

std::optional<Choice> ChoiceFile::find(const std::string& machine, const std::string& key) {
  const std::lock_guard guard(mutex_);
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0 && errno != ENOENT) failCall("read");
  if (file.number < 0) {
    choices_.clear();
    state_ = {};
  } else {
    read(file.number);
  }
  const auto section = choices_.find(machine);
  if (section == choices_.end()) return std::nullopt;
  const auto found = section->second.find(key);
  return found == section->second.end() ? std::nullopt : std::optional(found->second);
}

bool ChoiceFile::add(const std::string& machine, const std::string& key, const Choice& choice,
                     std::string_view instead) {
  const std::lock_guard guard(mutex_);
  for (;;) {
    // Whoever writes holds the lock of the file that he replaces.
    const Descriptor file(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (file.number < 0 || untilNotInterrupted([&] { return flock(file.number, LOCK_EX); }) < 0) failCall("write");
    struct stat locked = {}, there = {};
    if (fstat(file.number, &locked) < 0) failCall("read");
    if (stat(path_.c_str(), &there) < 0 || there.st_dev != locked.st_dev || there.st_ino != locked.st_ino) continue;
    read(file.number);
    Choice& mine = choices_[machine][key];
    if (!mine.name.empty() && mine.name != instead) return false;
    mine = choice;
    state_ = {};  // what is known is not yet what stands there
    replace();
    return true;
  }
}

void ChoiceFile::read(int file) {
  struct stat found = {};
  if (fstat(file, &found) < 0) failCall("read");
  const State state{found.st_dev, found.st_ino, found.st_size, found.st_mtim};
  if (state == state_) return;
  std::string text;
  char part[1 << 14];
  ssize_t bytes = 0;
  while ((bytes = untilNotInterrupted([&] { return ::read(file, part, sizeof part); })) > 0)
    text.append(part, size_t(bytes));
  if (bytes < 0) failCall("read");
  state_ = {};
  parse(text);
  if (std::time(nullptr) - found.st_mtim.tv_sec >= kSettled) state_ = state;
}

void ChoiceFile::parse(std::string_view text) {
  choices_.clear();
  std::map<std::string, Choice>* section = nullptr;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto expect = [&](bool fits, std::string_view what) {
      if (fits) return;
      fail("FORMAT", "autotune: line ", number, " of ", path_, " is \"", line.substr(0, 60), "\", not ", what,
           ". Mend the line, name another file, or delete this one to have everything measured again");
    };
    if (number == 1) {
      expect(line == kHeader, std::string("\"") + std::string(kHeader) + "\"");
      continue;
    }
    if (line.empty()) continue;
    if (line.front() == '[') {
      expect(line.back() == ']', "a machine in brackets");
      section = &choices_[std::string(line.substr(1, line.size() - 2))];
      continue;
    }
    const size_t first = line.find('\t');
    const size_t second = first == std::string_view::npos ? first : line.find('\t', first + 1);
    expect(section && first > 0 && second != std::string_view::npos && second > first + 1,
           "what is computed, the way and its times, with a tab between, below a machine in brackets");
    (*section)[std::string(line.substr(0, first))] = {std::string(line.substr(first + 1, second - first - 1)),
                                                      std::string(line.substr(second + 1))};
  }
}

// Whole or not at all: whoever reads meanwhile has the old file.
void ChoiceFile::replace() const {
  std::string text(kHeader);
  text += '\n';
  for (const auto& [machine, section] : choices_) {
    if (section.empty()) continue;
    text += "\n[" + machine + "]\n";
    for (const auto& [key, choice] : section) text += key + "\t" + choice.name + "\t" + choice.times + "\n";
  }
  const std::string fresh = path_ + ".tmp" + std::to_string(getpid());
  const auto written = [&] {
    const Descriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.number < 0) return false;
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t bytes = untilNotInterrupted([&] { return write(file.number, rest.data(), rest.size()); });
      if (bytes < 0) return false;
      rest.remove_prefix(size_t(bytes));
    }
    return rename(fresh.c_str(), path_.c_str()) == 0;
  };
  if (written()) return;
  const int reason = errno;
  unlink(fresh.c_str());
  errno = reason;
  failCall("write");
}

void ChoiceFile::failCall(const char* what) const {
  const char* const reason = std::strerror(errno);
  fail("IO", "autotune: cannot ", what, " ", path_, ": ", reason,
       ". Name a file in a folder that can be written (setAutotune or CHAINRULE_AUTOTUNE), or turn it off: "
       "setAutotune(null)");
}

}  // namespace chainrule::cuda
