// Adapters made of adapters: several plain LoRAs of one base, by their masters (AdapterSet::parameters() of method
// `lora`).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "adapters/mixer.h"

namespace moelora::adapters {

using LoraTensors = std::vector<NamedTensor>;  // "….lora_A" [n r, in] of a group of n linears, "….lora_B" [out, r]

/// Side by side, as the experts of one mixture of rank T r: A by rows within each linear of a group, B by columns, in
/// the order given. All must have the same names and shapes.
LoraTensors stack(std::span<const LoraTensors> adapters, int64_t rank);

/// Summed as LoRAHub does (Huang et al., arXiv 2307.13269): A and B each on their own, so that the update is (Σ w B)(Σ
/// w A), which isn't the sum of the updates. One weight for each adapter.
LoraTensors sum_state_dicts(std::span<const LoraTensors> adapters, std::span<const double> weights);

}  // namespace moelora::adapters
