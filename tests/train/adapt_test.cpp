// A new task by its weights alone: what is declared is what the gate gives, and a search is no worse than where it
// began.
#include "train/adapt.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "made_run.h"
#include "train/open_run.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

class Adapt : public ::testing::Test {
 protected:
  Adapt() {
    made_.config.adapter.experts = 4;
    made_.config.tasks["colour"].max_rows = 2;  // of a known task: nothing to the new one's rows
    write(made_);
    test::write_file(
        few(), "{\"input\": \"triage 1\", \"target\": \"red\"}\n{\"input\": \"triage 2\", \"target\": \"answer x\"}\n");
  }

  /// A finished run whose adapter changes the model.
  static void write(const MadeRun& made) {
    const RunSetup setup = made.setup();
    moelora::testing::randomise(setup, 0.4);
    write_artefact(setup, 1);
  }

  std::filesystem::path few() const { return made_.directory.path() / "few.jsonl"; }
  AdaptOptions options(const std::string& to) const {
    return {.task = "triage", .data = few(), .steps = 20, .to = made_.directory.path() / to};
  }
  static double least(const std::map<std::string, double>& losses) {
    return std::ranges::min_element(losses, {}, [](const auto& one) { return one.second; })->second;
  }

  MadeRun made_;
};

TEST_F(Adapt, BothSearchesBeatEveryKnownTasksWeights) {
  for (const bool gradient : {true, false}) {
    AdaptOptions own = options(gradient ? "gradient" : "evolution");
    own.gradient = gradient;
    const AdaptResult result = adapt(made_.config.output, own);
    EXPECT_EQ(result.losses.size(), 3u);  // uniform and two tasks
    EXPECT_LT(*result.loss, least(result.losses) - 1e-4) << result.start;
    double sum = 0;
    for (const double weight : result.weights) sum += weight;
    EXPECT_NEAR(sum, 1, 1e-6);

    const OpenRun run = open_run(own.to);  // an ordinary run with one task more
    EXPECT_THAT(run.saved.task_names(), ::testing::ElementsAre("colour", "echo", "triage"));
    const adapters::GateTable gate = run.model.adapters->gates()[0];
    for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(gate.weights[2][n], result.weights[n], 1e-6);
  }
}

TEST_F(Adapt, TheNewTasksOwnKeysAreReadAndKept) {
  AdaptOptions plain = options("plain"), own = options("own");
  plain.weights = own.weights = "nearest";
  own.overrides = {"tasks.triage.prompt=Choose.", "tasks.triage.metric=accuracy", "tasks.triage.max_rows=1"};
  EXPECT_NE(*adapt(made_.config.output, plain).loss, *adapt(made_.config.output, own).loss);
  const config::TaskConfig kept = load_adapter(own.to / "adapter").config.tasks.at("triage");
  EXPECT_EQ(kept.prompt, "Choose.");
  EXPECT_EQ(kept.metric, "accuracy");
  AdaptOptions wrong = options("wrong");
  wrong.overrides = {"tasks.triage.metric=acuracy"};
  EXPECT_THAT([&] { adapt(made_.config.output, wrong); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("tasks.triage.metric")));
  for (const std::string text : {"tasks.triage.group=colour", "tasks.colour.prompt=x", "train.epochs=2"}) {
    wrong.overrides = {text};
    try {
      adapt(made_.config.output, wrong);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("--" + text.substr(0, text.find('='))));
    }
  }
}

TEST_F(Adapt, ASearchEndsWhereASignalComes) {
  for (const bool gradient : {true, false}) {
    AdaptOptions own = options("interrupted");
    own.gradient = gradient;
    own.steps = 1'000'000;
    install_interrupt_handlers();
    std::thread signal([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      ::kill(::getpid(), SIGINT);
    });
    try {
      adapt(made_.config.output, own);
      ADD_FAILURE() << "the search went on to its end";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
    }
    signal.join();
    clear_interrupt();
    EXPECT_FALSE(std::filesystem::exists(own.to));
  }
}

TEST_F(Adapt, TheNewTaskCollapsesToTheExpertsAtItsWeightsAndTheOthersStay) {
  const std::vector<double> given = {0.1, 0.2, 0.3, 0.4};
  AdaptOptions own = options("given");
  own.weights = "1,2,3,4";
  own.data.clear();
  const AdaptResult result = adapt(made_.config.output, own);
  for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(result.weights[n], given[n], 1e-5);
  const OpenRun before = open_run(made_.config.output), after = open_run(own.to);
  const auto known = before.model.adapters->collapse(1), same = after.model.adapters->collapse(1),
             fresh = after.model.adapters->collapse(2);
  const double scale = made_.config.adapter.alpha / static_cast<double>(made_.config.adapter.rank);
  for (const auto& [name, master] : after.model.adapters->parameters()) {
    if (name != fresh[3].path + ".lora_B") continue;  // o_proj: alone in its group
    for (int64_t n = 0; n < 4; ++n) {
      const at::Tensor expected = master.detach().select(1, n).mul(scale * given[n]);
      EXPECT_LT(fresh[3].b.select(1, n).sub(expected).abs().max().item<double>(), 1e-5);
    }
  }
  for (size_t i = 0; i < known.size(); ++i) EXPECT_TRUE(known[i].b.equal(same[i].b));
}

TEST_F(Adapt, FallbacksAreWhatTheySay) {
  AdaptOptions uniform = options("uniform");
  uniform.weights = "uniform";
  uniform.data.clear();
  for (const double weight : adapt(made_.config.output, uniform).weights) EXPECT_NEAR(weight, 0.25, 1e-6);
  AdaptOptions echo = options("like-echo"), nearest = options("nearest");
  echo.weights = "echo";
  nearest.weights = "nearest";
  const AdaptResult like = adapt(made_.config.output, echo), found = adapt(made_.config.output, nearest);
  EXPECT_NEAR(*like.loss, like.losses.at("echo"), 1e-9);
  EXPECT_NEAR(*found.loss, std::min(found.losses.at("echo"), found.losses.at("colour")), 1e-9);
}

TEST_F(Adapt, FallbacksNeedNotOneGateForAllLayers) {
  MadeRun layers;
  layers.config.adapter.gate.scope = config::GateScope::kPerLayer;
  write(layers);
  const auto adapted = [&](const std::string& weights) {
    AdaptOptions own = options(weights);
    own.weights = weights;
    adapt(layers.config.output, own);
    return open_run(own.to).model.adapters->gates();
  };
  for (const adapters::GateTable& gate : adapted("uniform")) {
    for (const double weight : gate.weights.back()) EXPECT_NEAR(weight, 0.5, 1e-6) << gate.name;
  }
  for (const adapters::GateTable& gate : adapted("echo")) EXPECT_EQ(gate.weights.back(), gate.weights[1]) << gate.name;
  const std::vector<adapters::GateTable> nearest = adapted("nearest");
  ASSERT_GT(nearest.size(), 1u);
  const size_t known = nearest.front().weights.back() == nearest.front().weights[0] ? 0 : 1;
  for (const adapters::GateTable& gate : nearest) EXPECT_EQ(gate.weights.back(), gate.weights[known]) << gate.name;
}

TEST_F(Adapt, FurtherTrainingStartsFromIt) {
  const AdaptOptions own = options("adapted");
  adapt(made_.config.output, own);
  MadeRun next;
  std::filesystem::create_directories(next.directory.path() / "data/triage");
  std::filesystem::copy(few(), next.directory.path() / "data/triage/train.jsonl");
  next.config.adapter.experts = 4;
  next.config.adapter.start = own.to.string();
  const RunSetup setup = next.setup();
  const SavedAdapter saved = load_adapter(own.to / "adapter");
  std::vector<NamedTensor> started = moelora::testing::snapshot(setup);
  std::ranges::sort(started, {}, &NamedTensor::first);
  moelora::testing::expect_same_tensors(started, saved.tensors);
  MadeRun other;
  other.config.adapter.experts = 4;
  other.config.adapter.rank = 8;
  other.config.adapter.start = own.to.string();
  EXPECT_THROW(other.setup(), Error);
}

TEST_F(Adapt, StartsOfAnotherStrengthAreRefused) {
  const auto start = [&](const auto& change) {
    MadeRun next;
    next.config.adapter.experts = 4;
    next.config.adapter.start = made_.config.output;
    change(next.config.adapter);
    next.setup();
  };
  EXPECT_NO_THROW(start([](config::AdapterConfig&) {}));
  const auto refused = ::testing::ThrowsMessage<Error>(
      ::testing::AllOf(::testing::HasSubstr("adapter.start"), ::testing::HasSubstr("another strength")));
  EXPECT_THAT([&] { start([](config::AdapterConfig& own) { own.alpha = 16; }); }, refused);
  EXPECT_THAT([&] { start([](config::AdapterConfig& own) { own.gate.normalise = config::GateNormalise::kMeanOne; }); },
              refused);
  MadeRun uniform, other;
  uniform.config.adapter.method = other.config.adapter.method = config::Method::kUniform;
  write(uniform);
  other.config.adapter.experts = 4;  // of the same tensors, each weighed by half
  other.config.adapter.start = uniform.config.output;
  EXPECT_THAT([&] { other.setup(); }, refused);
}

TEST_F(Adapt, ABaseThatIsGivenByARelativePathIsFoundFromElsewhere) {
  const std::filesystem::path here = std::filesystem::current_path();
  AdaptOptions own = options("relative");
  own.weights = "uniform";
  own.base = "./" + std::filesystem::path(made_.config.model).filename().string();
  std::filesystem::current_path(std::filesystem::path(made_.config.model).parent_path());
  adapt(made_.config.output, own);
  std::filesystem::current_path(here);
  EXPECT_NO_THROW(open_run(own.to));
}

TEST_F(Adapt, RowsThatAllDoNotFitAreNamed) {
  AdaptOptions own = options("none");
  own.overrides = {"tasks.triage.overflow=drop"};
  test::write_file(few(), "{\"input\": \"" + std::string(200, '~') + "\", \"target\": \"red\"}\n");
  try {
    adapt(made_.config.output, own);
    ADD_FAILURE() << "weights of no rows";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("few.jsonl"));
  }
}

TEST_F(Adapt, AFileOfARunsTaskIsNotANewTasksToo) {
  AdaptOptions own = options("again");
  own.data = made_.directory.path() / "data/echo/train.jsonl";
  EXPECT_THAT([&] { adapt(made_.config.output, own); },
              ::testing::ThrowsMessage<Error>(
                  ::testing::AllOf(::testing::HasSubstr("has this file already"), ::testing::HasSubstr("task echo"))));
}

TEST_F(Adapt, MistakesAreNamed) {
  const auto message = [&](const std::filesystem::path& run, const AdaptOptions& own, ErrorKind kind) {
    try {
      adapt(run, own);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_FALSE(std::filesystem::exists(own.to));
      return std::string(error.what());
    }
    return std::string("no error");
  };
  AdaptOptions own = options("none");
  own.weights = "ecko";
  EXPECT_THAT(message(made_.config.output, own, ErrorKind::kUsage), ::testing::HasSubstr("did you mean `echo`?"));
  own.weights = "1,2,3";
  EXPECT_THAT(message(made_.config.output, own, ErrorKind::kUsage), ::testing::HasSubstr("4 positive numbers"));
  own = options("none");
  own.data.clear();
  EXPECT_THAT(message(made_.config.output, own, ErrorKind::kUsage), ::testing::HasSubstr("labelled rows are missing"));
  own.base = "nowhere";  // the command line comes first
  EXPECT_THAT(message(made_.config.output, own, ErrorKind::kUsage), ::testing::HasSubstr("labelled rows are missing"));
  own = options("none");
  own.task = "echo";
  EXPECT_THAT(message(made_.config.output, own, ErrorKind::kUsage), ::testing::HasSubstr("knows this task already"));
  MadeRun lora;
  lora.config.adapter.method = config::Method::kLora;
  write(lora);
  EXPECT_THAT(message(lora.config.output, options("none"), ErrorKind::kModel), ::testing::HasSubstr("method lora"));
  MadeRun layers;
  layers.config.adapter.gate.scope = config::GateScope::kPerLayer;
  write(layers);
  EXPECT_THAT(message(layers.config.output, options("none"), ErrorKind::kModel),
              ::testing::HasSubstr("needs one gate for all layers"));
}

}  // namespace
}  // namespace moelora::train
