// The fixtures' models with their adapters attached, prompts for them, and generation without cache or batch to compare
// with.
#pragma once

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "adapters/model.h"
#include "core/random.h"
#include "generate/engine.h"
#include "support/adapter_layout.h"
#include "support/fixture.h"

namespace moelora::generate {

inline const std::vector<std::string> kTasks = {"a", "b", "c", "d"};

inline adapters::Model base_model(const std::string& family) {
  return {std::make_unique<nn::Decoder>(testing::load_decoder(family + "/f32", at::kFloat)), nullptr};
}

/// Attaches adapters with the values of a file whose names are prefix + module path + half.
inline adapters::Model adapted_model(const std::string& family, const config::AdapterConfig& config,
                                     const std::string& file, const std::string& prefix, const std::string& half_a,
                                     const std::string& half_b) {
  const testing::Oracle oracle(family + "/" + file);
  adapters::Model model = base_model(family);
  model.adapters = std::make_unique<adapters::AdapterSet>(*model.decoder, config, kTasks, /*seed=*/1);
  std::vector<adapters::NamedTensor> values;
  for (const auto& [name, master] : model.adapters->parameters()) {
    if (name == "task_embedding" || name == "gate") {
      values.emplace_back(name, oracle[name == "gate" ? "gate.W_g" : "gate.E"]);
      continue;
    }
    std::vector<at::Tensor> parts;
    for (const std::string& path : testing::member_paths(name))
      parts.push_back(oracle[prefix + path + (testing::is_stack(name) ? half_a : half_b)]);
    values.emplace_back(name, at::cat(parts, 0));
  }
  model.adapters->load(values);
  return model;
}

inline adapters::Model lora_model(const std::string& family) {
  return adapted_model(family, {.method = config::Method::kLora, .rank = 8, .alpha = 16},
                       "adapter/adapter_model.safetensors", "base_model.model.", ".lora_A.weight", ".lora_B.weight");
}

inline adapters::Model moelora_model(const std::string& family) {
  return adapted_model(family,
                       {.method = config::Method::kMoelora,
                        .rank = 8,
                        .alpha = 16,
                        .experts = 4,
                        .gate = {.normalise = config::GateNormalise::kMeanOne, .embedding_size = 6}},
                       "moelora.safetensors", "", ".A", ".B");
}

/// Token ids that spell nothing; the special tokens are left out.
inline std::vector<int32_t> made_prompt(int64_t length, uint64_t name) {
  Random random(17, RandomStream::kData, name);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i) ids.push_back(static_cast<int32_t>(3 + random.below(300)));
  return ids;
}

/// Logits of every position's next token, [n, vocabulary] float32, of a sequence alone: no cache, no batch,
/// no engine.
inline at::Tensor logits_alone(const adapters::Model& model, const std::vector<int64_t>& ids, int64_t task) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> cu_seqlens = {0, std::ssize(ids)}, tasks = {task};
  const auto rows = model.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  nn::PackedAttention attention(cu_seqlens);
  return model.decoder->logits(
      model.decoder->forward({at::tensor(ids), at::arange(std::ssize(ids), at::kLong)}, attention, rows.get()));
}

/// Each token chosen from a forward of the whole sequence alone. `gaps`: of each, how far the best logit is above the
/// second.
inline std::vector<int32_t> continue_without_cache(const adapters::Model& model, const Request& request,
                                                   std::vector<float>* gaps = nullptr) {
  std::vector<int64_t> ids(request.prompt.begin(), request.prompt.end());
  std::vector<int32_t> written;
  while (std::ssize(written) < request.max_new_tokens) {
    const at::Tensor last = logits_alone(model, ids, request.task)[std::ssize(ids) - 1].clone();
    const std::span<float> row(last.data_ptr<float>(), last.numel());
    if (gaps) {
      std::vector<float> sorted(row.begin(), row.end());
      std::ranges::partial_sort(sorted, sorted.begin() + 2, std::greater());
      gaps->push_back(sorted[0] - sorted[1]);
    }
    const std::set<int32_t> seen(ids.begin(), ids.end());
    penalise_repetitions(row, std::vector<int32_t>(seen.begin(), seen.end()), request.sampling.repetition_penalty);
    written.push_back(choose_token(row, request.sampling, request.id, std::ssize(written)));
    ids.push_back(written.back());
  }
  return written;
}

}  // namespace moelora::generate
