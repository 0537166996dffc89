#pragma once

#include <napi.h>

#include "node/environment.h"
#include "runtime/jobs.h"

// The wrapped classes. Methods convert, call and wrap; what they mean stands in lib/native.ts.
namespace chainrule::node {

class VariableWrap : public Napi::ObjectWrap<VariableWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit VariableWrap(const Napi::CallbackInfo& call);
  ~VariableWrap() override;
  static std::shared_ptr<Variable> from(const Napi::Value& value);
  static std::vector<std::shared_ptr<Variable>> listFrom(const Napi::Value& value);

 private:
  static Napi::Value attach(const Napi::CallbackInfo& call);
  Napi::Value name(const Napi::CallbackInfo& call);
  Napi::Value dtype(const Napi::CallbackInfo& call);
  Napi::Value shape(const Napi::CallbackInfo& call);
  Napi::Value read(const Napi::CallbackInfo& call);
  Napi::Value write(const Napi::CallbackInfo& call);
  Napi::Value readSync(const Napi::CallbackInfo& call);
  Napi::Value writeSync(const Napi::CallbackInfo& call);
  Napi::Value compact(const Napi::CallbackInfo& call);
  Napi::Value share(const Napi::CallbackInfo& call);

  std::shared_ptr<Variable> variable_;
};

class GraphWrap : public Napi::ObjectWrap<GraphWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit GraphWrap(const Napi::CallbackInfo& call) : ObjectWrap(call) {}

 private:
  Napi::Value input(const Napi::CallbackInfo& call);
  Napi::Value constant(const Napi::CallbackInfo& call);
  Napi::Value scalar(const Napi::CallbackInfo& call);
  Napi::Value op(const Napi::CallbackInfo& call);
  Napi::Value dtype(const Napi::CallbackInfo& call);
  Napi::Value shape(const Napi::CallbackInfo& call);
  Napi::Value read(const Napi::CallbackInfo& call);
  Napi::Value update(const Napi::CallbackInfo& call);
  Napi::Value readGroup(const Napi::CallbackInfo& call);
  Napi::Value packGroup(const Napi::CallbackInfo& call);
  Napi::Value updateGroup(const Napi::CallbackInfo& call);
  Napi::Value gradients(const Napi::CallbackInfo& call);
  Napi::Value setScope(const Napi::CallbackInfo& call);
  Napi::Value setSegment(const Napi::CallbackInfo& call);
  Napi::Value dissolveSegment(const Napi::CallbackInfo& call);
  Napi::Value setMemoryBudget(const Napi::CallbackInfo& call);
  Napi::Value compile(const Napi::CallbackInfo& call);
  Napi::Value compileSync(const Napi::CallbackInfo& call);
  Napi::Value describe(const Napi::CallbackInfo& call);
  Napi::Value toJSON(const Napi::CallbackInfo& call);

  Graph& open();  // throws after compile
  ValueId value(const Napi::Value& value);
  int variable(const std::shared_ptr<Variable>& variable);
  int group(const Napi::Value& variables);
  Graph finish(const Napi::Value& outputs);

  Graph graph_;
  std::vector<std::shared_ptr<Variable>> variables_;
  std::map<const Variable*, int> indices_;
  bool finished_ = false;
};

class ProgramWrap : public Napi::ObjectWrap<ProgramWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<Program> program);
  explicit ProgramWrap(const Napi::CallbackInfo& call);

 private:
  Napi::Value inputNames(const Napi::CallbackInfo& call);
  Napi::Value device(const Napi::CallbackInfo& call);
  Napi::Value run(const Napi::CallbackInfo& call);
  Napi::Value runSync(const Napi::CallbackInfo& call);
  Napi::Value runRowSync(const Napi::CallbackInfo& call);
  Napi::Value epoch(const Napi::CallbackInfo& call);
  Napi::Value prepare(const Napi::CallbackInfo& call);
  Napi::Value describe(const Napi::CallbackInfo& call);
  Napi::Value profile(const Napi::CallbackInfo& call);
  Napi::Value counters(const Napi::CallbackInfo& call);

  std::shared_ptr<RunJob> jobFor(const Napi::CallbackInfo& call);
  std::shared_ptr<Program> program_;
};

class DatasetWrap : public Napi::ObjectWrap<DatasetWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DatasetWrap(const Napi::CallbackInfo& call);
  static std::shared_ptr<Dataset> from(const Napi::Value& value);

 private:
  Napi::Value rows(const Napi::CallbackInfo& call);
  Napi::Value firstBad(const Napi::CallbackInfo& call);
  Napi::Value release(const Napi::CallbackInfo& call);
  std::shared_ptr<Dataset> dataset_;
};

}  // namespace chainrule::node
