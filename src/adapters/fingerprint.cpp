#include "adapters/fingerprint.h"

#include <span>

#include "core/hash.h"

namespace moelora::adapters {

std::string fingerprint(const AdapterSet& adapters) {
  Hasher hasher;
  const auto add = [&](const auto& number) { hasher.update(std::as_bytes(std::span(&number, 1))); };
  const config::AdapterConfig& config = adapters.config();
  add(config.method);
  add(config.rank);
  add(config.alpha);
  add(config.experts);
  add(config.gate.normalise);
  add(config.gate.scope);
  for (const std::string& task : adapters.tasks()) hasher.update(task + '\n');
  for (const auto& [name, master] : adapters.parameters()) {
    const at::Tensor values = master.detach().contiguous();
    hasher.update(name + '\n');
    hasher.update(std::span(static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()));
  }
  return hasher.hex();
}

}  // namespace moelora::adapters
