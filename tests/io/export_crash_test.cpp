// An export that is stopped, or whose disk fails, at each of its file calls: the target is whole or it isn't there, and
// what lies beside it is nothing that a reader would take for a model or an adapter.
#include <ATen/ops/ones.h>

#include <cerrno>
#include <functional>

#include "core/faulty_file_system.h"
#include "io/gguf_lora.h"
#include "io/hf_model_copy.h"
#include "io/hf_model_writer.h"
#include "io/peft_adapter.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

nn::ModelConfig small_shape() {
  nn::ModelConfig shape;
  shape.model_type = "qwen3";
  shape.vocab_size = 8;
  shape.hidden_size = shape.intermediate_size = 4;
  shape.layers = 1;
  shape.heads = shape.kv_heads = 1;
  shape.head_dim = 4;
  return shape;
}

PeftAdapter small_adapter() {
  return {.r = 2,
          .base_model_name_or_path = "org/base",
          .target_modules = {"q_proj"},
          .modules = {{"model.layers.0.self_attn.q_proj", {at::ones({2, 4}), at::ones({4, 2})}}},
          .readme = "# Card\n"};
}

/// An export, how to read it back (throws where it isn't whole), and the file without which nothing loads it.
struct Export {
  const char* name;
  std::function<void(const TestDirectory&, const std::filesystem::path&, FileSystem&)> write;
  std::function<void(const std::filesystem::path&)> read;
  const char* last_file;
};

const std::vector<Export>& exports() {
  static const std::vector<Export> all = {
      {"peft",
       [](const TestDirectory&, const std::filesystem::path& dir, FileSystem& files) {
         write_peft_adapter(dir, small_adapter(), files);
       },
       [](const std::filesystem::path& dir) { read_peft_adapter(dir); }, "adapter_config.json"},
      {"gguf",
       [](const TestDirectory&, const std::filesystem::path& dir, FileSystem& files) {
         write_gguf_lora(dir, small_adapter(), small_shape(), "task", files);
       },
       [](const std::filesystem::path& dir) { read_gguf_lora(dir, small_shape()); }, "manifest.json"},
      {"merged",
       [](const TestDirectory& place, const std::filesystem::path& dir, FileSystem& files) {
         if (!std::filesystem::exists(place / "base")) {
           write_hf_model(place / "base", {.config = {{"model_type", "x"}},
                                           .tensors = {{"a", at::ones({8, 8})}, {"b", at::ones({8, 8})}},
                                           .max_shard_bytes = 300});
         }
         const auto base = HfModel::open(place / "base");
         write_hf_copy(
             dir, *base,
             {.changes = {{"b", [](const at::Tensor& stored) { return stored.add(1); }}}, .readme = "# Card\n"}, files);
       },
       [](const std::filesystem::path& dir) {
         EXPECT_EQ(HfModel::open(dir)->load("b", {8, 8}, at::kFloat).sum().item<float>(), 128);
       },
       "config.json"}};
  return all;
}

class StoppedExport : public ::testing::TestWithParam<Export> {};
INSTANTIATE_TEST_SUITE_P(EveryFormat, StoppedExport, ::testing::ValuesIn(exports()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(StoppedExport, AtAnyCallIsWholeOrNotThere) {
  const Export& format = GetParam();
  int64_t calls = 0;
  {
    const TestDirectory place;
    test::FaultyFileSystem counting({});
    format.write(place, place / "to", counting);
    calls = static_cast<int64_t>(counting.calls().size());
  }
  ASSERT_GT(calls, 10);
  for (const bool dead : {false, true}) {
    int64_t without_last_file = 0;
    for (int64_t at = 0; at < calls; ++at) {
      SCOPED_TRACE(::testing::Message() << "call " << at << " of " << calls << (dead ? ", dead" : ""));
      const TestDirectory place;
      test::FaultyFileSystem stopping({.fail_at = at, .error_number = ENOSPC, .for_good = dead});
      try {
        format.write(place, place / "to", stopping);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kIo);
      }
      if (std::filesystem::exists(place / "to")) format.read(place / "to");
      for (const auto& entry : std::filesystem::directory_iterator(place.path())) {
        const std::string name = entry.path().filename().string();
        if (name == "to" || name == "base") continue;
        EXPECT_TRUE(name.starts_with(".")) << name;
        EXPECT_TRUE(dead) << name << " is left although the process lives";
        without_last_file += !std::filesystem::exists(entry.path() / format.last_file);
      }
    }
    // A dead process leaves a hidden directory; until its last file is written nothing can load it.
    if (dead) {
      EXPECT_GT(without_last_file, calls / 3);
    }
  }
}

}  // namespace
}  // namespace moelora::io
