// Between AdapterSet's parameter names (a group's stacked A: "….q_proj+k_proj+v_proj.lora_A") and names of single
// linears; and how its masters are given values.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace moelora::testing {

/// "l.self_attn.q_proj+k_proj.lora_A" -> {"l.self_attn.q_proj", "l.self_attn.k_proj"}, in the order of the stack.
inline std::vector<std::string> member_paths(const std::string& parameter) {
  const std::string path = parameter.substr(0, parameter.rfind('.'));
  const std::string parent = path.substr(0, path.rfind('.') + 1);
  std::string members = path.substr(parent.size());
  std::vector<std::string> paths;
  for (size_t plus = 0; plus != std::string::npos; members = members.substr(plus + 1)) {
    plus = members.find('+');
    paths.push_back(parent + members.substr(0, plus));
    if (plus == std::string::npos) break;
  }
  return paths;
}

inline bool is_stack(const std::string& parameter) {
  return parameter.ends_with(".lora_A");
}

/// Gives a leaf a value of another dtype: float32 masters in float64, for checks to rounding.
inline void set_value(const std::pair<std::string, at::Tensor>& parameter, const at::Tensor& value) {
  at::Tensor leaf = parameter.second;
  leaf.set_data(value.clone());
}

}  // namespace moelora::testing
