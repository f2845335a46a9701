// A manifest.json whose checksum holds: whoever can write one can compute it. The input is the text before it.
#include "core/durable.h"
#include "core/hash.h"
#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  write_file(kManifestName,
             std::string(input) + ",\n  \"manifest_xxh3_128\": \"" + hash_hex(std::string(input)) + "\"\n}\n");
  verify_directory(directory());
}

}  // namespace moelora::fuzz
