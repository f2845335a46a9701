#include "adapters/named_tensors.h"

#include <ATen/core/grad_mode.h>

#include "core/error.h"

namespace moelora::adapters {

void copy_by_name(std::span<const NamedTensor> masters, const std::map<std::string, at::Tensor>& values,
                  const std::string& what) {
  for (const auto& [name, master] : masters) {
    const auto value = values.find(name);
    if (value != values.end() && value->second.sizes() == master.sizes()) continue;
    throw Error(ErrorKind::kModel,
                {.where = what + " `" + name + "`",
                 .problem = value == values.end() ? "missing" : "of another shape than the configuration says"});
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, master] : masters) at::Tensor(master).copy_(values.at(name));
}

}  // namespace moelora::adapters
