#include "cuda/gpu_recording.h"

#include <algorithm>

#include "cuda/step_order.h"

namespace chainrule::cuda {
namespace {

constexpr int kRelaxedCapture = 2;
constexpr unsigned kSetDependencies = 1;

class GpuRecording : public Recording {
 public:
  GpuRecording(const Gpu& gpu, CuGraph graph) : gpu_(gpu), done_(gpu, kUntimed) {
    gpu_.check(gpu_.driver.graphInstantiate(&graph_, graph, 0), "cuGraphInstantiate");
  }
  ~GpuRecording() override {
    gpu_.returning([&] { gpu_.driver.graphExecDestroy(graph_); });  // a run of it goes on to its end
  }
  Outcome run(Transfer* first) override {
    return gpu_.calling([&] {
      if (first) static_cast<GpuTransfer*>(first)->before(gpu_.stream);
      gpu_.check(gpu_.driver.graphLaunch(graph_, gpu_.stream), "cuGraphLaunch");
      gpu_.check(gpu_.driver.eventRecord(done_, gpu_.stream), "cuEventRecord");
    });
  }
  Outcome wait() override {
    return gpu_.calling([&] { gpu_.check(gpu_.driver.eventSynchronize(done_), "a step on the GPU"); });
  }

 private:
  const Gpu& gpu_;
  const Event done_;
  CuGraphExec graph_ = nullptr;
};

// What a stream that records does next comes after the nodes that it was told last.
class Capture {
 public:
  Capture(const Gpu& gpu, GpuQueue& queue) : gpu_(gpu), queue_(queue) {
    queue_.beforeLibrary = [this] { comesAfterLibrary(); };
  }
  ~Capture() { queue_.beforeLibrary = nullptr; }

  void walk(const std::vector<Step>& steps, const DeviceFrame& frame) {
    const std::vector<std::vector<size_t>> dependencies = dependenciesOf(steps, frame);
    std::vector<Nodes> ends(steps.size());
    std::vector<bool> last(steps.size(), true);
    Nodes begin;
    enqueueEach(steps, frame, queue_, [&](size_t i) {
      if (i == 0) begin = current();
      Nodes before;
      for (size_t j : dependencies[i]) {
        before.insert(before.end(), ends[j].begin(), ends[j].end());
        last[j] = false;
      }
      goOnAfter(dependencies[i].empty() ? begin : before);
      byLibrary_ = false;
      steps[i].launch(argsOf(steps, i, frame, queue_));
      ends[i] = current();
      if (byLibrary_) library_ = ends[i];
      if (i + 1 < steps.size()) return;
      Nodes all;
      for (size_t j = 0; j < steps.size(); ++j) {
        if (last[j]) all.insert(all.end(), ends[j].begin(), ends[j].end());
      }
      goOnAfter(all);
    });
  }

 private:
  using Nodes = std::vector<CuGraphNode>;

  Nodes current() const {
    int status = 0;
    const CuGraphNode* nodes = nullptr;
    size_t count = 0;
    gpu_.check(gpu_.driver.streamGetCaptureInfo(gpu_.stream, &status, nullptr, nullptr, &nodes, &count),
               "cuStreamGetCaptureInfo");
    return Nodes(nodes, nodes + count);
  }
  void goOnAfter(Nodes nodes) const {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    gpu_.check(gpu_.driver.streamUpdateCaptureDependencies(gpu_.stream, nodes.data(), nodes.size(), kSetDependencies),
               "cuStreamUpdateCaptureDependencies");
  }
  // Calls of a library may share memory of its own.
  void comesAfterLibrary() {
    Nodes nodes = current();
    nodes.insert(nodes.end(), library_.begin(), library_.end());
    goOnAfter(nodes);
    byLibrary_ = true;
  }

  const Gpu& gpu_;
  GpuQueue& queue_;
  Nodes library_;
  bool byLibrary_ = false;
};

}  // namespace

std::unique_ptr<Recording> recordOn(const Gpu& gpu, GpuQueue& queue, const std::vector<Step>& steps,
                                    const DeviceFrame& frame) {
  const Driver& d = gpu.driver;
  gpu.check(d.streamBeginCapture(gpu.stream, kRelaxedCapture), "cuStreamBeginCapture");
  const Outcome enqueued = outcomeFrom([&] { Capture(gpu, queue).walk(steps, frame); });
  CuGraph graph = nullptr;
  const CuResult ended = d.streamEndCapture(gpu.stream, &graph);
  std::unique_ptr<Recording> result;
  const Outcome made = outcomeFrom([&] {
    enqueued.orThrow();
    gpu.check(ended, "cuStreamEndCapture");
    result = std::make_unique<GpuRecording>(gpu, graph);
  });
  if (graph) d.graphDestroy(graph);
  made.orThrow();
  return result;
}

}  // namespace chainrule::cuda
