// A file of torch.save: zip archive, pickle and storages.
#include "io/torch_file.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  write_file("adapter_model.bin", input);
  for (const auto& [name, tensor] : io::read_torch_file(directory() / "adapter_model.bin"))
    static_cast<void>(tensor.sum().item<float>());
}

}  // namespace moelora::fuzz
