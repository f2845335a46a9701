// Adapters that other programs wrote, put into a run's: each linear's pair where its own stands.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "adapters/adapter_set.h"
#include "io/peft_adapter.h"
#include "train/setup.h"

namespace moelora::train {

/// The adapter of one linear: views of the masters.
struct LinearAdapter {
  std::string path;  // "model.layers.0.self_attn.q_proj"
  at::Tensor a;      // [R, in] float32
  at::Tensor b;      // [out, R] float32
};

/// Calls `fill` with every adapted linear and its pair, after checking that both have the same linears and sizes (not
/// ranks). Throws Error (kModel) naming `where` and the linear otherwise. Refreshes the set.
void fill_linears(adapters::AdapterSet& set, const std::map<std::string, io::LoraPair>& modules,
                  const std::string& where, const std::function<void(const LinearAdapter&, const io::LoraPair&)>& fill);

/// Whether a plain LoRA of PEFT's layout stands there.
bool is_peft_adapter(const std::filesystem::path& dir);

/// Starts the setup's adapter from a plain LoRA, without its gate. A LoRA of the run's rank is spread over all experts,
/// one of rank / experts is the first expert and the others stay as they start. At equal weights of the experts the
/// update is the LoRA's. Throws Error (kConfig) for another rank, Error (kModel) for what can't be read or doesn't fit.
void start_from_peft(const RunSetup& setup, const std::filesystem::path& dir);

/// Changes with the LoRA's content.
std::string peft_hash(const std::filesystem::path& dir);

}  // namespace moelora::train
