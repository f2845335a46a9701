// A safetensors file: its header, and that every tensor lies inside the file.
#include "io/safetensors.h"

#include <span>

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const auto file = io::SafetensorsFile::parse(std::as_bytes(std::span(input)), "input.safetensors");
  for (const std::string& name : file->names()) {
    const io::StoredTensor& tensor = file->at(name);
    int64_t bytes = io::dtype_bytes(tensor.dtype);
    for (const int64_t size : tensor.shape) bytes *= size;
    require(bytes == static_cast<int64_t>(tensor.bytes.size()), "a tensor of another size than its shape");
    const volatile std::byte* data = tensor.bytes.data();
    if (bytes > 0) static_cast<void>(data[0]), static_cast<void>(data[bytes - 1]);
  }
}

}  // namespace moelora::fuzz
