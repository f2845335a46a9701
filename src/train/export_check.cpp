#include "train/export_check.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>

#include "adapters/collapse.h"
#include "core/random.h"
#include "io/gguf_lora.h"
#include "io/hf_model.h"

namespace moelora::train {
namespace {

constexpr std::array<int64_t, 2> kLengths = {40, 24};

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

struct Probe {
  nn::Rows rows;
  std::vector<int64_t> bounds = {0};
};

/// The same for every export of a vocabulary.
Probe make_probe(const nn::ModelConfig& shape) {
  Probe probe;
  std::vector<at::Tensor> positions;
  for (const int64_t length : kLengths) {
    positions.push_back(at::arange(std::min(length, shape.max_positions), at::kLong));
    probe.bounds.push_back(probe.bounds.back() + positions.back().numel());
  }
  probe.rows = {at::empty({probe.bounds.back()}, at::kLong), at::cat(positions)};
  Random random(1, RandomStream::kData, name_key("export check"));
  for (int64_t i = 0; i < probe.bounds.back(); ++i) {
    probe.rows.ids.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(shape.vocab_size));
  }
  return probe;
}

at::Tensor logits_of(const nn::Decoder& decoder, const Probe& probe, const nn::RowContext* context) {
  nn::PackedAttention attention(probe.bounds);
  return decoder.logits(decoder.forward(probe.rows, attention, context)).to(at::kFloat);
}

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
  if (format == ExportFormat::kMerged) {
    const auto model = io::HfModel::open(dir);
    const nn::ModelConfig shape = nn::parse_model_config(model->config(), (dir / "config.json").string());
    return logits_of(nn::Decoder(shape, *model, at::kFloat), probe, nullptr);
  }
  const std::unique_ptr<nn::WeightSource> weights = written_weights(run, dir, format);
  return logits_of(nn::Decoder(run.base.shape, *weights, at::kFloat), probe, nullptr);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.sub(b).abs().max().item<double>();
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
                         ExportFormat format) {
  const at::NoGradGuard no_grad;
  const int64_t index = run.task_index(task);
  const Probe probe = make_probe(run.base.shape);
  at::Tensor before, expected;
  {
    const auto base = io::HfModel::open(run.base.dir);
    nn::Decoder decoder(run.base.shape, *base, at::kFloat);
    before = logits_of(decoder, probe, nullptr);
    adapters::AdapterSet set(decoder, run.saved.config.adapter, run.saved.task_names(), run.saved.config.train.seed);
    set.load(run.saved.tensors);
    const std::vector<int64_t> tasks(probe.bounds.size() - 1, index);
    const auto rows = set.rows({.cu_seqlens = probe.bounds, .tasks = tasks, .sample_keys = {}, .positions = {}});
    expected = logits_of(decoder, probe, rows.get());
  }
  const bool rounded = format == ExportFormat::kMerged && has_short_weights(run);
  return {.difference = largest_difference(written_logits(run, probe, dir, format), expected),
          .effect = largest_difference(expected, before),
          .tolerance = (rounded ? 2e-2 : 1e-4) * std::max(1.0, expected.abs().max().item<double>())};
}

}  // namespace moelora::train
