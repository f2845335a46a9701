// Exported adapters in real PEFT: tests/interop/check_peft.py loads what is written here and compares its logits with ours.
#include "train/export_peft.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <span>

#include "core/error.h"
#include "io/tensor_file.h"
#include "made_run.h"
#include "support/fixture.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

void write_tensor(const std::filesystem::path& path, const std::string& name, const at::Tensor& tensor) {
  std::ofstream file(path, std::ios::binary);
  io::write_tensors({{name, tensor}}, {}, [&](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
}

/// Logits [T, V] of the fixture's ragged batch, every sequence as task `task`.
at::Tensor logits_of(const adapters::Model& model, const moelora::testing::FixtureBatch& batch, int64_t task) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> bounds = batch.cu_seqlens();
  const std::vector<int64_t> tasks(bounds.size() - 1, task);
  nn::PackedAttention attention(bounds);
  const auto rows = model.rows({.cu_seqlens = bounds, .tasks = tasks, .sample_keys = {}, .positions = {}});
  return model.decoder->logits(model.decoder->forward(batch.rows(), attention, rows.get()));
}

class ExportedAdapter : public ::testing::TestWithParam<const char*> {};

TEST_P(ExportedAdapter, HasOurLogitsInPeft) {
  const std::string family = GetParam();
  for (const auto scope : {config::GateScope::kShared, config::GateScope::kPerLayer}) {
    MadeRun made(family + "/f32");
    made.config.adapter.gate.scope = scope;
    const RunSetup setup = made.setup();
    moelora::testing::randomise(setup, 0.2);
    write_artefact(setup, 1);
    const OpenRun run = open_run(made.config.output);
    const std::filesystem::path dir = made.directory.path() / "peft", logits = made.directory.path() / "logits.safetensors";
    export_peft(run, "echo", dir);
    const moelora::testing::FixtureBatch batch(family + "/ragged");
    write_tensor(logits, "logits", logits_of(run.model, batch, run.task_index("echo")));
    const std::string command = ".deps/venv/bin/python -B tests/interop/check_peft.py --base " + made.config.model + " --adapter " +
                                dir.string() + " --prompts " MOELORA_FIXTURES_DIR "/" + family + "/ragged/inputs.safetensors --logits " +
                                logits.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    EXPECT_GT(moelora::testing::largest_difference(logits_of(run.model, batch, 0), logits_of(run.model, batch, 1)), 1e-2)
        << "the tasks' adapters can't be told apart";
  }
}

INSTANTIATE_TEST_SUITE_P(EveryFamily, ExportedAdapter, ::testing::Values("llama", "mistral", "qwen2", "qwen3"));

TEST(ExportPeft, SaysInTheModelCardWhatTheAdapterCameFrom) {
  const MadeRun made;
  write_artefact(made.setup(), 5);
  const OpenRun run = open_run(made.config.output);
  const std::string card = model_card(run, "echo");
  EXPECT_THAT(card, ::testing::HasSubstr(run.base_hash));
  EXPECT_THAT(card, ::testing::HasSubstr("colour, echo"));
  for (const data::SourceFile& source : run.saved.sources) EXPECT_THAT(card, ::testing::HasSubstr(source.hash));
}

TEST(ExportPeft, RefusesAnUnknownTaskAndAMethodWithoutAdapters) {
  const MadeRun made;
  write_artefact(made.setup(), 5);
  const std::filesystem::path dir = made.directory.path() / "peft";
  const auto kind_of = [&](const OpenRun& run, const std::string& task) {
    try {
      export_peft(run, task, dir);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(open_run(made.config.output), "ehco"), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(open_run(made.config.output, {.without_adapter = true}), "echo"), ErrorKind::kModel);
  EXPECT_FALSE(std::filesystem::exists(dir));
}

}  // namespace
}  // namespace moelora::train
