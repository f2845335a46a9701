// The oracles that tests/fixtures/generate.py wrote: tensors by name, models, packed batches. Needs FIXTURES
// model_fixtures.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "io/hf_model.h"
#include "io/tensor_file.h"
#include "kernels/supervised_cross_entropy.h"
#include "nn/decoder.h"
#include "support/fixtures_dir.h"

namespace moelora::testing {

/// A safetensors file of the fixtures folder.
class Oracle {
 public:
  explicit Oracle(const std::string& path) : file_(io::SafetensorsFile::open(fixtures_dir() + "/" + path)) {}

  at::Tensor operator[](const std::string& name) const { return io::tensor_of(file_, name); }
  bool contains(const std::string& name) const { return file_->find(name) != nullptr; }
  const std::vector<std::string>& names() const { return file_->names(); }
  const io::StringMap& metadata() const { return file_->metadata(); }

 private:
  std::shared_ptr<const io::SafetensorsFile> file_;
};

inline std::vector<int64_t> values(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<int64_t>(), whole.const_data_ptr<int64_t>() + whole.numel()};
}

/// A batch of one of the families' fixtures ("qwen3/ragged").
struct FixtureBatch {
  explicit FixtureBatch(const std::string& folder) : inputs(folder + "/inputs.safetensors") {}
  Oracle inputs;

  nn::Rows rows() const { return {inputs["ids"], inputs["positions"]}; }
  std::vector<int64_t> cu_seqlens() const { return values(inputs["cu_seqlens"]); }
  std::vector<int64_t> tasks() const { return values(inputs["tasks"]); }

  at::Tensor supervised_rows() const { return inputs["supervised_rows"]; }

  /// hidden [T, H] of all rows, or [K, H] where the forward pass was asked for the supervised ones alone.
  at::Tensor loss(const nn::Decoder& decoder, const at::Tensor& hidden) const {
    const bool all = hidden.size(0) == inputs["ids"].size(0);
    return kernels::supervised_cross_entropy(all ? hidden.index_select(0, supervised_rows()) : hidden, decoder.head(),
                                             inputs["targets"], inputs["weights"],
                                             {.softcap = decoder.config().logit_softcap})
        .loss;
  }
};

inline nn::Decoder load_decoder(const std::string& folder, at::ScalarType dtype,
                                nn::LinearForm form = nn::LinearForm::kPlain) {
  const auto model = io::HfModel::open(fixtures_dir() + "/" + folder);
  return nn::Decoder(nn::parse_model_config(model->config(), folder + "/config.json"), *model, dtype, form);
}

/// ‖a - b‖ / ‖b‖.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide_a = a.detach().to(at::kDouble), wide_b = b.detach().to(at::kDouble);
  const double scale = wide_b.norm().item<double>();
  const double difference = wide_a.sub(wide_b).norm().item<double>();
  return scale > 0 ? difference / scale : difference;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.numel() == 0) return 0;
  return a.detach().to(at::kDouble).sub(b.detach().to(at::kDouble)).abs().max().item<double>();
}

}  // namespace moelora::testing
