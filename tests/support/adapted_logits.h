// What a model with adapters says, and a plain LoRA of one of its tasks over the same base.
#pragma once

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <map>
#include <string>
#include <vector>

#include "adapters/adapter_set.h"
#include "support/adapter_layout.h"
#include "support/fixture.h"

namespace moelora::testing {

/// Logits [T, V] of a batch whose sequences are all of one task.
inline at::Tensor logits_of_task(const nn::Decoder& decoder, const adapters::AdapterSet& adapters,
                                 const FixtureBatch& batch, int64_t task) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> cu_seqlens = batch.cu_seqlens(), tasks(cu_seqlens.size() - 1, task);
  nn::PackedAttention attention(cu_seqlens);
  const auto rows = adapters.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  return decoder.logits(decoder.forward(batch.rows(), attention, rows.get()));
}

/// The set of one plain LoRA of those linears' rank, alpha = rank, attached to `decoder`.
inline adapters::AdapterSet attach_collapsed(nn::Decoder& decoder,
                                             const std::vector<adapters::CollapsedLinear>& linears) {
  const int64_t rank = linears.front().a.size(0);
  adapters::AdapterSet plain(
      decoder, {.method = config::Method::kLora, .rank = rank, .alpha = static_cast<double>(rank), .experts = 1},
      {"only"},
      /*seed=*/2);
  std::map<std::string, adapters::CollapsedLinear> by_path;
  for (const adapters::CollapsedLinear& linear : linears) by_path.emplace(linear.path, linear);
  std::vector<adapters::NamedTensor> values;
  for (const auto& [name, master] : plain.parameters()) {
    std::vector<at::Tensor> parts;
    for (const std::string& path : member_paths(name))
      parts.push_back(is_stack(name) ? by_path.at(path).a : by_path.at(path).b);
    values.emplace_back(name, at::cat(parts, 0));
  }
  plain.load(values);
  return plain;
}

}  // namespace moelora::testing
