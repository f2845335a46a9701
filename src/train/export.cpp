#include "train/export.h"

#include <algorithm>
#include <array>
#include <set>

#include "adapters/collapse.h"
#include "core/error.h"
#include "io/gguf_lora.h"
#include "io/hf_model_copy.h"
#include "nn/layer_linears.h"
#include "train/kept_weights.h"
#include "train/model_card.h"

namespace moelora::train {
namespace {

/// What vLLM's --max-lora-rank can be.
constexpr std::array<int64_t, 9> kServedRanks = {1, 8, 16, 32, 64, 128, 256, 320, 512};

int64_t served_rank(int64_t rank) {
  const auto served = std::ranges::lower_bound(kServedRanks, rank);
  if (served != kServedRanks.end()) return *served;
  throw Error(ErrorKind::kUsage, {.where = "--pad-rank",
                                  .problem = "the adapter's rank is larger than any that vLLM allows",
                                  .found = std::to_string(rank),
                                  .expected = "at most " + std::to_string(kServedRanks.back())});
}

void export_merged(const OpenRun& run, const io::PeftAdapter& adapter, const std::filesystem::path& dir,
                   MergeOnto onto) {
  const auto base = io::HfModel::open(run.base.dir);
  const KeptWeights as_computed(run, base);
  io::HfModelCopy copy{.changes = {}, .readme = adapter.readme};
  if (onto == MergeOnto::kDequantised) {
    for (const std::string& name : as_computed.linears()) {
      copy.changes[name] = [&as_computed, name](const at::Tensor& pristine) {
        return as_computed.kept(name, pristine).to(pristine.scalar_type());
      };
    }
  }
  for (const auto& [module, pair] : adapter.modules) {
    const std::string name = nn::stored_name(run.base.shape, *base, module + ".weight");
    copy.changes[name] = [&as_computed, &lora = pair, name, onto](const at::Tensor& pristine) {
      const at::Tensor& taken = onto == MergeOnto::kDequantised ? as_computed.kept(name, pristine) : pristine;
      return adapters::merged_weight(taken, {.path = "", .a = lora.a, .b = lora.b}).to(pristine.scalar_type());
    };
  }
  io::write_hf_copy(dir, *base, copy);
}

std::string short_name(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

/// The linears' short names, as people write them; their paths where a short name would have PEFT adapt others too:
/// linears of layers that the run leaves alone, or of a nested model's other parts.
std::vector<std::string> target_modules(const nn::ModelConfig& shape,
                                        const std::map<std::string, io::LoraPair>& modules) {
  std::set<std::string> names, paths;
  for (const auto& [path, pair] : modules) {
    paths.insert(path);
    names.insert(short_name(path));
  }
  bool ambiguous = shape.nested;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (const nn::LinearShape& linear : nn::layer_linears(shape, layer).all())
      ambiguous |= names.contains(short_name(linear.path)) && !paths.contains(linear.path);
  }
  const std::set<std::string>& targets = ambiguous ? paths : names;
  return {targets.begin(), targets.end()};
}

}  // namespace

io::PeftAdapter collapsed_adapter(const OpenRun& run, const std::string& task, const ExportOptions& options) {
  const int64_t index = run.task_index(task);
  if (!run.model.adapters) {
    throw Error(ErrorKind::kModel, {.where = run.dir.string(),
                                    .problem = "a run of method `full` has no adapter to export",
                                    .hint = "its model/ directory is an ordinary Hugging Face model"});
  }
  io::PeftAdapter adapter{.base_model_name_or_path = run.saved.config.model};
  for (adapters::CollapsedLinear& linear : run.model.adapters->collapse(index)) {
    adapter.r = linear.a.size(0);
    adapter.modules[linear.path] = {std::move(linear.a), std::move(linear.b)};
  }
  adapter.target_modules = target_modules(run.base.shape, adapter.modules);
  if (options.pad_rank && options.format != ExportFormat::kMerged) io::pad_rank(adapter, served_rank(adapter.r));
  return adapter;
}

void export_task(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                 const ExportOptions& options) {
  io::PeftAdapter adapter = collapsed_adapter(run, task, options);
  adapter.readme = model_card(run, task, options);
  switch (options.format) {
    case ExportFormat::kPeft:
      return io::write_peft_adapter(dir, adapter);
    case ExportFormat::kGguf:
      return io::write_gguf_lora(dir, adapter, run.base.shape, task);
    case ExportFormat::kMerged:
      return export_merged(run, adapter, dir, options.onto);
  }
}

}  // namespace moelora::train
