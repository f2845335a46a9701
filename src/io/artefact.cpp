#include "io/artefact.h"

#include "core/durable.h"
#include "io/json_file.h"
#include "io/manifested.h"

namespace moelora::io {
namespace {

constexpr std::string_view kKind = "moelora-artefact";
constexpr std::string_view kConfigFile = "moelora_config.json";
constexpr std::string_view kTensorFile = "moelora.safetensors";

}  // namespace

void write_artefact(const std::filesystem::path& dir, const Artefact& artefact, FileSystem& file_system) {
  DirectoryWriter writer(dir, file_system);
  writer.add_file(kConfigFile, json_text(artefact.config, std::string(kConfigFile)));
  DurableFile file = writer.open_file(kTensorFile);
  write_tensors(artefact.tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.finish();
  writer.commit({{"kind", kKind}});
}

Artefact read_artefact(const std::filesystem::path& dir) {
  verify_manifested(dir, kKind, {kConfigFile, kTensorFile});
  return {.config = read_json_object(dir / kConfigFile), .tensors = read_all_tensors(dir / kTensorFile)};
}

}  // namespace moelora::io
