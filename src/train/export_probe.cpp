#include "train/export_probe.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>

#include "core/random.h"
#include "io/hf_model.h"
#include "nn/attention_state.h"

namespace moelora::train {
namespace {

constexpr std::array<int64_t, 2> kLengths = {40, 24};

}  // namespace

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

at::Tensor probe_logits(const nn::Decoder& decoder, const Probe& probe, const nn::RowContext* context) {
  nn::PackedAttention attention(probe.bounds);
  return decoder.logits(decoder.forward(probe.rows, attention, context)).to(at::kFloat);
}

at::Tensor adapted_logits(const OpenRun& run, nn::Decoder& decoder, const Probe& probe, int64_t task) {
  const std::unique_ptr<adapters::AdapterSet> set = attach_saved(decoder, run.saved);
  const std::vector<int64_t> tasks(probe.bounds.size() - 1, task);
  const auto rows = set->rows({.cu_seqlens = probe.bounds, .tasks = tasks, .sample_keys = {}, .positions = {}});
  return probe_logits(decoder, probe, rows.get());
}

at::Tensor directory_logits(const std::filesystem::path& dir, const Probe& probe) {
  const auto model = io::HfModel::open(dir);
  const nn::ModelConfig shape = nn::parse_model_config(model->config(), (dir / "config.json").string());
  return probe_logits(nn::Decoder(shape, *model, at::kFloat), probe, nullptr);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.sub(b).abs().max().item<double>();
}

}  // namespace moelora::train
