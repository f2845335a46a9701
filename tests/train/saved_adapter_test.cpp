// What a run leaves behind comes back as it was.
#include "train/saved_adapter.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "made_run.h"
#include "train/open_run.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

TEST(SavedAdapter, ComesBackWithEverythingThatIsNeededToUseIt) {
  const MadeRun made;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  write_artefact(setup, 17);
  const SavedAdapter saved = load_adapter(artefact_dir(setup.config));
  EXPECT_EQ(saved.config, setup.config);
  EXPECT_THAT(saved.task_names(), ::testing::ElementsAre("colour", "echo"));
  EXPECT_EQ(saved.base_hash, setup.identity.base);
  EXPECT_EQ(saved.tokenizer_hash, setup.identity.tokenizer);
  EXPECT_EQ(saved.template_hash, setup.identity.chat_template);
  EXPECT_EQ(saved.step, 17);
  ASSERT_EQ(saved.sources.size(), setup.dataset.files.size());
  for (size_t i = 0; i < saved.sources.size(); ++i) {
    EXPECT_EQ(saved.sources[i].hash, setup.dataset.files[i].hash);
    EXPECT_EQ(saved.sources[i].split, setup.dataset.files[i].split);
    EXPECT_EQ(saved.sources[i].rows, setup.dataset.files[i].rows);
  }
  std::vector<NamedTensor> expected = moelora::testing::snapshot(setup);
  std::ranges::sort(expected, {}, &NamedTensor::first);
  moelora::testing::expect_same_tensors(saved.tensors, expected);
}

TEST(SavedAdapter, GivesTheGatesWithoutABase) {
  for (const auto scope : {config::GateScope::kShared, config::GateScope::kPerLayer}) {
    MadeRun made;
    made.config.adapter.gate.scope = scope;
    const RunSetup setup = made.setup();
    moelora::testing::randomise(setup, 1.0);
    write_artefact(setup, 1);
    std::map<std::string, std::vector<std::vector<float>>> expected;
    for (const adapters::GateTable& gate : setup.model.adapters->gates()) expected[gate.name] = gate.weights;
    const std::vector<adapters::GateTable> gates = gates_of(load_adapter(artefact_dir(setup.config)));
    ASSERT_EQ(gates.size(), expected.size());
    for (const adapters::GateTable& gate : gates) EXPECT_EQ(gate.weights, expected.at(gate.name)) << gate.name;
  }
}

TEST(SavedAdapter, GivesNoGatesWhereATensorIsMissingOrOfAnotherShape) {
  const MadeRun made;
  const RunSetup setup = made.setup();
  write_artefact(setup, 1);
  const SavedAdapter whole = load_adapter(artefact_dir(setup.config));
  SavedAdapter without = whole, other = whole;
  std::erase_if(without.tensors, [](const auto& tensor) { return tensor.first == "gate"; });
  EXPECT_THAT([&] { gates_of(without); }, ::testing::ThrowsMessage<Error>(::testing::HasSubstr("`gate`: missing")));
  for (auto& [name, value] : other.tensors) {
    if (name == "gate") value = value.narrow(0, 0, 1);
  }
  EXPECT_THAT([&] { gates_of(other); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("`gate`: of another shape")));
}

TEST(SavedAdapter, IsNeverOverwritten) {
  const MadeRun made;
  const RunSetup setup = made.setup();
  write_artefact(setup, 1);
  try {
    write_artefact(setup, 2);
    ADD_FAILURE() << "an adapter was overwritten";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
  EXPECT_EQ(load_adapter(artefact_dir(setup.config)).step, 1);
}

TEST(OpenRun, HasTheModelThatWasTrained) {
  const MadeRun made;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  write_artefact(setup, 1);
  const OpenRun run = open_run(made.config.output);
  std::vector<NamedTensor> opened;
  for (const auto& [name, master] : run.model.adapters->parameters()) opened.emplace_back(name, master.detach());
  moelora::testing::expect_same_tensors(opened, moelora::testing::snapshot(setup));
  EXPECT_EQ(run.task_index("echo"), 1);
  EXPECT_THROW(run.task_index("ehco"), Error);
}

}  // namespace
}  // namespace moelora::train
