#include "config/enum_names.h"

#include "config/method.h"

namespace moelora::config {

using Names = std::vector<std::string>;

const Names& enum_names(Overflow) {
  static const Names names = {"error", "drop", "cut_middle", "cut_head"};
  return names;
}
const Names& enum_names(LossNormalisation) {
  static const Names names = {"token", "sample", "task"};
  return names;
}
const Names& enum_names(Method) {
  static const Names names = [] {
    Names all;
    for (const MethodTraits& method : kMethods) all.emplace_back(method.name);
    return all;
  }();
  return names;
}
const Names& enum_names(GateScope) {
  static const Names names = {"shared", "per_layer"};
  return names;
}
const Names& enum_names(GateNormalise) {
  static const Names names = {"sum_one", "mean_one"};
  return names;
}
const Names& enum_names(InitA) {
  static const Names names = {"kaiming", "normal"};
  return names;
}
const Names& enum_names(Schedule) {
  static const Names names = {"linear", "cosine", "constant"};
  return names;
}
const Names& enum_names(DType) {
  static const Names names = {"auto", "float32", "bfloat16"};
  return names;
}
std::map<std::string, std::string> enum_aliases(DType) {
  return {{"f32", "float32"}, {"fp32", "float32"}, {"bf16", "bfloat16"}};
}
const Names& enum_names(Recompute) {
  static const Names names = {"auto", "none", "mlp", "full"};
  return names;
}
const Names& enum_names(WeightLayout) {
  static const Names names = {"auto", "plain", "packed"};
  return names;
}
const Names& enum_names(Quantization) {
  static const Names names = {"none", "int8", "nf4"};
  return names;
}
std::map<std::string, std::string> enum_aliases(Quantization) {
  return {{"8", "int8"}, {"4", "nf4"}};
}
const Names& enum_names(Preset) {
  static const Names names = {"none", "paper"};
  return names;
}

}  // namespace moelora::config
