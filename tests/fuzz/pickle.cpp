// What torch.save pickles of a dictionary of tensors.
#include "io/pickle.h"

#include <algorithm>

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  for (const auto& [name, tensor] : io::read_pickled_tensors(input, "input")) {
    require(tensor.sizes.size() == tensor.strides.size(), "sizes and strides of another number");
    if (std::ranges::find(tensor.sizes, 0) != tensor.sizes.end()) continue;
    int64_t last = tensor.offset, elements = 1;
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      elements *= tensor.sizes[i];
      last += (tensor.sizes[i] - 1) * tensor.strides[i];
    }
    require(elements <= tensor.storage_numel && last < tensor.storage_numel, "a view beyond its storage");
  }
}

}  // namespace moelora::fuzz
