#include "adapters/compose.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

namespace moelora::adapters {

LoraTensors stack(std::span<const LoraTensors> adapters, int64_t rank) {
  LoraTensors stacked;
  for (size_t i = 0; i < adapters.front().size(); ++i) {
    const std::string& name = adapters.front()[i].first;
    std::vector<at::Tensor> parts;
    if (name.ends_with(".lora_B")) {
      for (const LoraTensors& adapter : adapters) parts.push_back(adapter[i].second.detach());
      stacked.emplace_back(name, at::cat(parts, /*dim=*/1));
      continue;
    }
    const int64_t linears = adapters.front()[i].second.size(0) / rank;
    for (int64_t linear = 0; linear < linears; ++linear) {
      for (const LoraTensors& adapter : adapters)
        parts.push_back(adapter[i].second.detach().narrow(0, linear * rank, rank));
    }
    stacked.emplace_back(name, at::cat(parts, /*dim=*/0));
  }
  return stacked;
}

LoraTensors sum_state_dicts(std::span<const LoraTensors> adapters, std::span<const double> weights) {
  LoraTensors sum;
  for (size_t i = 0; i < adapters.front().size(); ++i) {
    at::Tensor total = at::zeros_like(adapters.front()[i].second.detach());
    for (size_t j = 0; j < adapters.size(); ++j) total.add_(adapters[j][i].second.detach(), weights[j]);
    sum.emplace_back(adapters.front()[i].first, total);
  }
  return sum;
}

}  // namespace moelora::adapters
