// A PEFT directory. The input is adapter_config.json, a NUL byte, adapter_model.safetensors.
#include "io/peft_adapter.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const size_t end = std::min(input.find('\0'), input.size());
  write_file("adapter_config.json", input.substr(0, end));
  write_file("adapter_model.safetensors", input.substr(std::min(end + 1, input.size())));
  const io::PeftAdapter adapter = io::read_peft_adapter(directory());
  for (const auto& [module, pair] : adapter.modules) {
    require(pair.a.size(0) == adapter.r && pair.b.size(1) == adapter.r, "a pair of another rank");
    static_cast<void>(pair.a.sum().item<float>() + pair.b.sum().item<float>());
  }
}

}  // namespace moelora::fuzz
