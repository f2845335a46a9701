// Exported adapters in real PEFT: tests/interop/check_peft.py loads what is written here and compares its logits with
// ours. Merged models: against float64.
#include "train/export.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <span>

#include "config/enum_names.h"
#include "core/error.h"
#include "io/hf_model.h"
#include "io/json_file.h"
#include "io/tensor_file.h"
#include "made_run.h"
#include "support/adapted_logits.h"
#include "support/families.h"
#include "support/fixtures_dir.h"
#include "train/export_check.h"
#include "train/model_card.h"

namespace moelora::train {
namespace {

using moelora::testing::logits_of_task;
using moelora::testing::MadeRun;

void write_tensor(const std::filesystem::path& path, const std::string& name, const at::Tensor& tensor) {
  std::ofstream file(path, std::ios::binary);
  io::write_tensors({{name, tensor}}, {}, [&](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
}

class ExportedAdapter : public ::testing::TestWithParam<std::tuple<std::string, config::GateScope>> {};

TEST_P(ExportedAdapter, HasOurLogitsInPeft) {
  const auto& [family, scope] = GetParam();
  MadeRun made(family + "/f32");
  made.config.adapter.gate.scope = scope;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup, 0.2);
  write_artefact(setup, 1);
  const OpenRun run = open_run(made.config.output);
  const std::filesystem::path dir = made.directory.path() / "peft",
                              logits = made.directory.path() / "logits.safetensors";
  export_task(run, "echo", dir);
  const moelora::testing::FixtureBatch batch(family + "/ragged");
  write_tensor(logits, "logits",
               logits_of_task(*run.model.decoder, *run.model.adapters, batch, run.task_index("echo")));
  const std::string command = ".deps/venv/bin/python -B tests/interop/check_peft.py --base " + made.config.model +
                              " --adapter " + dir.string() + " --prompts " + moelora::testing::fixtures_dir() + "/" +
                              family + "/ragged/inputs.safetensors --logits " + logits.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_GT(moelora::testing::largest_difference(logits_of_task(*run.model.decoder, *run.model.adapters, batch, 0),
                                                 logits_of_task(*run.model.decoder, *run.model.adapters, batch, 1)),
            1e-2)
      << "the tasks' adapters can't be told apart";
}

INSTANTIATE_TEST_SUITE_P(EveryFamily, ExportedAdapter,
                         ::testing::Combine(::testing::ValuesIn(moelora::testing::kFamilies),
                                            ::testing::Values(config::GateScope::kShared)),
                         [](const auto& info) { return std::get<0>(info.param); });
INSTANTIATE_TEST_SUITE_P(GatePerLinear, ExportedAdapter,
                         ::testing::Combine(::testing::Values("qwen3", "phi3"),
                                            ::testing::Values(config::GateScope::kPerLayer)),
                         [](const auto& info) { return std::get<0>(info.param); });

TEST(Export, NamesLinearsOfANestedModelByTheirPaths) {
  // A short name would have PEFT adapt the vision tower too.
  MadeRun made("gemma3/f32");
  write_artefact(made.setup(), 1);
  const OpenRun run = open_run(made.config.output);
  const std::filesystem::path dir = made.directory.path() / "peft";
  export_task(run, "echo", dir);
  const std::vector<std::string> targets = io::read_json_object(dir / "adapter_config.json").at("target_modules");
  EXPECT_EQ(targets.size(), 28u);
  for (const std::string& target : targets) EXPECT_THAT(target, ::testing::StartsWith("model.language_model.layers."));
}

TEST(Export, NamesLinearsOfSomeLayersByTheirPaths) {
  MadeRun made;
  made.config.adapter.targets = {"*.layers.1.*"};
  write_artefact(made.setup(), 1);
  const std::vector<std::string> some = collapsed_adapter(open_run(made.config.output), "echo", {}).target_modules;
  EXPECT_EQ(some.size(), 7u);
  for (const std::string& target : some) EXPECT_THAT(target, ::testing::StartsWith("model.layers.1."));
  MadeRun all;
  all.config.adapter.targets = {"q_proj", "down_proj"};
  write_artefact(all.setup(), 1);
  EXPECT_THAT(collapsed_adapter(open_run(all.config.output), "echo", {}).target_modules,
              ::testing::ElementsAre("down_proj", "q_proj"));
}

TEST(Export, OfAFullyTrainedModelHasTheCodeOfItsFamilyAndNoFormOfItsBase) {
  MadeRun made;
  const std::filesystem::path model = made.copy_model();
  nlohmann::json config = nlohmann::json::parse(test::read_file(model / "config.json"));
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}};
  config["auto_map"] = {{"AutoConfig", "configuration_x.XConfig"}};
  test::write_file(model / "config.json", config.dump());
  test::write_file(model / "configuration_x.py", "class XConfig: pass\n");
  made.config.adapter.method = config::Method::kFull;
  write_artefact(made.setup(), 1);
  const std::filesystem::path out = std::filesystem::path(made.config.output) / "model";
  EXPECT_TRUE(std::filesystem::exists(out / "configuration_x.py"));
  EXPECT_TRUE(std::filesystem::exists(out / "tokenizer.json"));
  const nlohmann::json written = io::read_json_object(out / "config.json");
  EXPECT_FALSE(written.contains("quantization_config"));
  EXPECT_TRUE(written.contains("auto_map"));
}

TEST(Export, SaysInTheModelCardWhatTheAdapterCameFrom) {
  const MadeRun made;
  write_artefact(made.setup(), 5);
  const OpenRun run = open_run(made.config.output);
  const std::string card = model_card(run, "echo", {});
  EXPECT_THAT(card, ::testing::HasSubstr(run.base_hash));
  EXPECT_THAT(card, ::testing::HasSubstr("colour, echo"));
  for (const data::SourceFile& source : run.saved.sources) EXPECT_THAT(card, ::testing::HasSubstr(source.hash));
}

TEST(Export, SaysInTheModelCardWhoseDataIsInTheWeights) {
  for (const config::Method method :
       {config::Method::kMoelora, config::Method::kLoraPerTask, config::Method::kTaskArithmetic}) {
    MadeRun made;
    made.config.adapter.method = method;
    write_artefact(made.setup(), 5);
    const std::string card = model_card(open_run(made.config.output), "echo", {});
    const bool own = method == config::Method::kLoraPerTask;
    EXPECT_EQ(card.find("Each task has a LoRA of its own") != std::string::npos, own) << config::name_of(method);
    EXPECT_EQ(card.find("the data of *every* task") != std::string::npos, !own) << config::name_of(method);
    EXPECT_EQ(card.find("optimizer steps of all tasks' runs | 5") != std::string::npos,
              method != config::Method::kMoelora);
  }
}

TEST(Export, RefusesAnUnknownTaskAndAMethodWithoutAdapters) {
  const MadeRun made;
  write_artefact(made.setup(), 5);
  const std::filesystem::path dir = made.directory.path() / "peft";
  const auto kind_of = [&](const OpenRun& run, const std::string& task) {
    try {
      export_task(run, task, dir);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(open_run(made.config.output), "ehco"), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(open_run(made.config.output, {.without_adapter = true}), "echo"), ErrorKind::kModel);
  EXPECT_FALSE(std::filesystem::exists(dir));
}

/// A run with an adapter that changes the model, over `model` of the fixtures.
OpenRun finished_run(const MadeRun& made) {
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup, 0.2);
  write_artefact(setup, 1);
  return open_run(made.config.output, {.without_weights = true});
}

TEST(ExportMerged, HasThePristineWeightsPlusTheUpdateRoundedOnce) {
  for (const char* dtype : {"f32", "bf16", "f16"}) {
    SCOPED_TRACE(dtype);
    const MadeRun made(std::string("qwen2/") + dtype);
    const OpenRun run = finished_run(made);
    const std::filesystem::path dir = made.directory.path() / "merged";
    export_task(run, "echo", dir, {.format = ExportFormat::kMerged});
    const auto base = io::HfModel::open(run.base.dir), merged = io::HfModel::open(dir);
    const io::PeftAdapter adapter = collapsed_adapter(run, "echo");
    EXPECT_EQ(merged->names(), base->names());
    for (const std::string& name : base->names()) {
      const at::Tensor before = io::tensor_of(base->files().front(), name);
      at::Tensor expected = before;
      const std::string module = name.substr(0, name.rfind('.'));
      if (const auto pair = adapter.modules.find(module); pair != adapter.modules.end() && name.ends_with(".weight")) {
        expected = before.to(at::kDouble).add(pair->second.b.to(at::kDouble).mm(pair->second.a.to(at::kDouble)));
      }
      const at::Tensor written = io::tensor_of(merged->files().front(), name);
      ASSERT_EQ(written.scalar_type(), before.scalar_type()) << name;
      // Half a unit in the last place of the stored dtype, and what float32 products add.
      const double ulp = std::string(dtype) == "f32" ? 0x1p-20 : std::string(dtype) == "bf16" ? 0x1p-8 : 0x1p-11;
      const at::Tensor wide = expected.to(at::kDouble);
      const at::Tensor allowed = wide.abs().mul(ulp).add(1e-5);
      EXPECT_TRUE(written.to(at::kDouble).sub(wide).abs().le(allowed).all().item<bool>()) << name;
    }
  }
}

TEST(ExportMerged, RefusesWeightsThatOverflowTheirDtypeAndLeavesNothing) {
  const MadeRun made("qwen2/f16");
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup, 300);
  write_artefact(setup, 1);
  const OpenRun run = open_run(made.config.output, {.without_weights = true});
  const std::filesystem::path dir = made.directory.path() / "to" / "merged";
  try {
    export_task(run, "echo", dir, {.format = ExportFormat::kMerged});
    ADD_FAILURE() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("_proj.weight"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.parent_path()));
}

class ExportCheckOf : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(EveryFamily, ExportCheckOf, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

TEST_P(ExportCheckOf, PassesWhatWasWrittenAndNotAnotherTask) {
  const MadeRun made(GetParam() + "/f32");
  const OpenRun run = finished_run(made);
  for (const ExportFormat format : {ExportFormat::kPeft, ExportFormat::kMerged, ExportFormat::kGguf}) {
    const std::filesystem::path dir = made.directory.path() / ("to" + std::to_string(static_cast<int>(format)));
    export_task(run, "echo", dir, {.format = format});
    const ExportCheck check = check_export(run, "echo", dir, {.format = format});
    EXPECT_TRUE(check.passed()) << check.difference;
    EXPECT_GT(check.effect, 100 * check.tolerance);
    EXPECT_FALSE(check_export(run, "colour", dir, {.format = format}).passed());
  }
}

TEST(Export, PadsTheRankWithZerosAndOnlyToRanksThatAreServed) {
  MadeRun made("llama/f32");
  made.config.adapter.rank = 18;
  const OpenRun run = finished_run(made);
  const io::PeftAdapter plain = collapsed_adapter(run, "echo"),
                        padded = collapsed_adapter(run, "echo", {.pad_rank = true});
  EXPECT_EQ(padded.r, 32);
  for (const auto& [module, pair] : plain.modules) {
    const io::LoraPair& wide = padded.modules.at(module);
    EXPECT_TRUE(wide.a.narrow(0, 0, 18).equal(pair.a));
    EXPECT_TRUE(wide.b.narrow(1, 0, 18).equal(pair.b));
    EXPECT_EQ(wide.a.narrow(0, 18, 14).abs().max().item<float>(), 0);
    EXPECT_EQ(wide.b.narrow(1, 18, 14).abs().max().item<float>(), 0);
  }
  made.config.adapter.rank = 514;
  made.config.output = (made.directory.path() / "large").string();
  const OpenRun large = finished_run(made);
  EXPECT_THROW(collapsed_adapter(large, "echo", {.pad_rank = true}), Error);
}

}  // namespace
}  // namespace moelora::train
