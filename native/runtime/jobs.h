#pragma once

#include <chrono>
#include <functional>

#include "runtime/dataset.h"
#include "runtime/lane.h"

namespace chainrule {

struct Result {
  TensorType type;
  Buffer data;
};

// One run of a program.
class RunJob : public Job {
 public:
  std::shared_ptr<Program> program;
  std::vector<ArrayRef> inputs;
  std::vector<std::shared_ptr<const void>> owners;  // keep the inputs' memory alive
  int64_t rowOffset = 0;
  bool checkFinite = false;
  int timedRepeats = 0;
  std::vector<void*> outputs;  // where the results go; empty: into `results`
  std::vector<Result> results;

  bool usesTeam() override;
  bool step(Machine& machine) override;
};

struct EpochOptions {
  int64_t batchSize = 32;
  int64_t begin = 0, end = 0;
  bool shuffle = false;
  uint64_t seed = 0;
  uint32_t epoch = 0;
  int64_t firstStep = 0, steps = 0;
  bool collect = false;
  bool again = false;  // more epochs of this dataset follow: it is kept on a device where it fits
};

// The steps of an epoch over a dataset: shuffles, gathers and runs natively, a smaller last batch included.
class EpochJob : public Job {
 public:
  EpochJob(std::shared_ptr<Program> program, std::shared_ptr<Dataset> dataset, EpochOptions options);

  std::function<void(int64_t steps)> onProgress;  // on the lane's thread, at most every 50 ms
  int64_t stepsDone() const { return done_; }
  std::vector<Result> results;  // with collect: outputs of all steps along axis 0

  bool usesTeam() override;
  bool step(Machine& machine) override;

 private:
  int64_t batchAt(int64_t step) const;
  void start(Machine& machine);
  // Writes a batch's rows of a column to `to`.
  void gatherColumn(Machine& machine, const Column& column, int64_t firstRow, int64_t batch, std::byte* to) const;
  std::vector<const void*> gather(Machine& machine, int64_t firstRow, int64_t batch);
  void runOnDevice(Machine& machine, int64_t firstRow, Program::Request request);
  std::vector<void*> outputsAt(int64_t firstRow, int64_t batch);

  std::shared_ptr<Program> program_;
  std::shared_ptr<Dataset> dataset_;
  EpochOptions options_;
  bool started_ = false;
  int64_t done_ = 0;
  std::vector<int32_t> order_, numbers_;
  std::span<const std::byte* const> onDevice_;  // the columns, where they are kept there
  // A step's rows by column and the outputs that nobody collects lie in the lane's staging memory: epochs allocate
  // nothing.
  int64_t reserve(int64_t bytes);
  std::vector<int64_t> staged_, dropped_;  // offsets
  int64_t stagingBytes_ = 0;
  std::byte* staging_ = nullptr;
  std::vector<bool> rowwise_;  // by output: concatenated along the batch
  std::chrono::steady_clock::time_point reported_{};
};

}  // namespace chainrule
