#include "train/export_check.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>

#include "adapters/collapse.h"
#include "io/gguf_lora.h"
#include "io/hf_model.h"
#include "train/export_probe.h"
#include "train/kept_weights.h"

namespace moelora::train {
namespace {

/// The base's weights with an adapter merged into them in the dtype they are asked for in.
class MergedWeights : public nn::WeightSource {
 public:
  MergedWeights(const nn::ModelConfig& shape, std::shared_ptr<io::HfModel> base, io::PeftAdapter adapter)
      : base_(std::move(base)) {
    for (auto& [module, pair] : adapter.modules) {
      changes_[nn::stored_name(shape, *base_, module + ".weight")] = std::move(pair);
    }
  }

  bool contains(const std::string& name) const override { return base_->contains(name); }

  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override {
    const at::Tensor pristine = base_->load(name, shape, dtype);
    const auto change = changes_.find(name);
    if (change == changes_.end()) return pristine;
    return adapters::merged_weight(pristine, {.path = "", .a = change->second.a, .b = change->second.b});
  }

 private:
  std::shared_ptr<io::HfModel> base_;
  std::map<std::string, io::LoraPair> changes_;  // by the name of the weight in the files
};

std::unique_ptr<nn::WeightSource> written_weights(const OpenRun& run, const std::filesystem::path& dir,
                                                  ExportFormat format) {
  switch (format) {
    case ExportFormat::kPeft:
      return std::make_unique<MergedWeights>(run.base.shape, io::HfModel::open(run.base.dir),
                                             io::read_peft_adapter(dir));
    case ExportFormat::kGguf:
      return std::make_unique<MergedWeights>(run.base.shape, io::HfModel::open(run.base.dir),
                                             io::read_gguf_lora(dir, run.base.shape));
    case ExportFormat::kMerged:
      break;
  }
  return nullptr;
}

at::Tensor written_logits(const OpenRun& run, const Probe& probe, const std::filesystem::path& dir,
                          ExportFormat format) {
  if (format == ExportFormat::kMerged) return directory_logits(dir, probe);
  const std::unique_ptr<nn::WeightSource> weights = written_weights(run, dir, format);
  return probe_logits(nn::Decoder(run.base.shape, *weights, at::kFloat), probe, nullptr);
}

/// Whether the base keeps its linears in 16 bits, to which merged ones are rounded.
bool has_short_weights(const OpenRun& run) {
  const auto base = io::HfModel::open(run.base.dir);
  for (const auto& file : base->files()) {
    for (const std::string& name : file->names()) {
      const io::Dtype dtype = file->at(name).dtype;
      if (dtype == io::Dtype::kBF16 || dtype == io::Dtype::kF16) return true;
    }
  }
  return false;
}

}  // namespace

ExportCheck check_export(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                         const ExportOptions& options) {
  const at::NoGradGuard no_grad;
  const bool merged = options.format == ExportFormat::kMerged;
  const int64_t index = run.task_index(task);
  const Probe probe = make_probe(run.base.shape);
  at::Tensor before, expected;
  {
    const auto base = io::HfModel::open(run.base.dir);
    KeptWeights as_computed(run, base);
    nn::WeightSource& weights =
        merged && options.onto == MergeOnto::kDequantised ? static_cast<nn::WeightSource&>(as_computed) : *base;
    nn::Decoder decoder(run.base.shape, weights, at::kFloat);
    before = probe_logits(decoder, probe, nullptr);
    expected = adapted_logits(run, decoder, probe, index);
  }
  const bool rounded = merged && has_short_weights(run);
  return {.difference = largest_difference(written_logits(run, probe, dir, options.format), expected),
          .effect = largest_difference(expected, before),
          .tolerance = (rounded ? 2e-2 : 1e-4) * std::max(1.0, expected.abs().max().item<double>())};
}

}  // namespace moelora::train
