#include "io/artefact.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include <set>

#include "core/durable.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

Artefact small_artefact() {
  return {.config = {{"method", "moelora"}, {"tasks", {"a", "b"}}},
          .tensors = {{"gate", at::arange(8, at::kFloat)}, {"experts.A", at::arange(6, at::kFloat).reshape({2, 3})}}};
}

TEST(Artefact, ComesBackAsItWas) {
  const TestDirectory directory;
  write_artefact(directory / "a", small_artefact());
  const Artefact read = read_artefact(directory / "a");
  EXPECT_EQ(read.config, small_artefact().config);
  ASSERT_EQ(read.tensors.size(), 2);
  EXPECT_EQ(read.tensors[0].first, "experts.A");
  EXPECT_TRUE(at::equal(read.tensors[1].second, small_artefact().tensors[0].second));
}

TEST(Artefact, NothingInItLooksLikeAPeftAdapter) {
  const TestDirectory directory;
  write_artefact(directory / "a", small_artefact());
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory / "a")) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"manifest.json", "moelora.safetensors", "moelora_config.json"}));
}

TEST(Artefact, DamagedAndForeignDirectoriesAreRefused) {
  const TestDirectory directory;
  write_artefact(directory / "a", small_artefact());
  for (const char* name : {"moelora.safetensors", "moelora_config.json", "manifest.json"}) {
    const std::string good = read_text(directory / "a" / name);
    std::string bad = good;
    bad[bad.size() / 2] ^= 1;
    write_text(directory / "a" / name, bad);
    EXPECT_THAT(model_error([&] { read_artefact(directory / "a"); }), HasSubstr(name));
    write_text(directory / "a" / name, good);
  }
  EXPECT_NO_THROW(read_artefact(directory / "a"));
  DirectoryWriter other(directory / "b");
  other.add_file("x", "y");
  other.commit({{"kind", "checkpoint"}});
  EXPECT_THAT(model_error([&] { read_artefact(directory / "b"); }), HasSubstr("of another kind"));
  DirectoryWriter partial(directory / "c");
  partial.add_file("moelora_config.json", "{}");
  partial.commit({{"kind", "moelora-artefact"}});
  write_text(directory / "c/moelora.safetensors", read_text(directory / "a/moelora.safetensors"));
  EXPECT_THAT(model_error([&] { read_artefact(directory / "c"); }),
              HasSubstr("doesn't vouch for `moelora.safetensors`"));
}

}  // namespace
}  // namespace moelora::io
