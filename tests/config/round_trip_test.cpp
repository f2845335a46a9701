// A resolved configuration read again is the same, whatever its values.
#include <gtest/gtest.h>

#include <cmath>

#include "config/enum_names.h"
#include "config/load.h"
#include "core/error.h"
#include "core/random.h"

namespace moelora::config {
namespace {

/// Draws values of every type, among them those that YAML is known to mangle.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed, RandomStream::kData) {}

  uint64_t below(uint64_t bound) { return random_.below(bound); }
  bool flag() { return below(2) == 1; }
  int64_t integer(int64_t least) {
    return flag() ? least + static_cast<int64_t>(below(1000))
                  : std::max(least, static_cast<int64_t>(below(1'000'000'001)));
  }
  double positive() { return std::exp(60 * (random_.uniform() - 0.5)); }
  double fraction() { return random_.uniform(); }
  template <typename Enum>
  Enum choice() {
    return static_cast<Enum>(below(enum_names(Enum{}).size()));
  }
  std::string text() {
    static const std::vector<std::string> awkward = {
        "null",   "~",  "true",   "No",     "y",      "1",      "1e5",     "0x1F", "0o17", ".inf", ".nan", "-",
        "- a",    ": ", "a: b",   "a:",     "#",      "a #b",   "[a]",     "{a}",  "*a",   "&a",   "!a",   "|",
        ">",      "'",  "\"",     "\\",     "\\n",    " a",     "a ",      "\n",   "a\nb", "\t",   "\r\n", "\x01",
        "\x7f",   "%a", "@a",     "`a`",    "?",      "? a",    "---",     "...",  "=",    "<<",   "1:30", "2020-01-01",
        "糖尿病", "😀",  "\u0085", "\u2028", "\ufeff", "\u00a0", "e\u0301", "a,b"};
    if (flag()) return awkward[below(awkward.size())];
    std::string text;
    for (uint64_t parts = 1 + below(4); parts > 0; --parts) text += flag() ? awkward[below(awkward.size())] : "word";
    return text;
  }
  std::string name() { return "task." + std::to_string(below(1000)) + (flag() ? ",#é" : ""); }

 private:
  Random random_;
};

RunConfig drawn(uint64_t seed) {
  Draw draw(seed);
  RunConfig config;
  config.preset = draw.choice<Preset>();
  config.model = "/models/" + std::to_string(seed);
  config.output = draw.text();
  for (uint64_t i = 0; i <= draw.below(3); ++i) {
    DataSource source{.path = "/data/" + std::to_string(i) + (draw.flag() ? " a: #b" : "")};
    if (draw.flag()) source.task = draw.text();
    if (draw.flag()) source.format = "sharegpt";
    if (draw.flag()) source.split = "dev";
    config.data.sources.push_back(source);
  }
  config.data.max_length = 2 + static_cast<int64_t>(draw.below(100000));
  config.data.overflow = draw.choice<Overflow>();
  config.data.group = draw.text();
  config.data.allow_overlap = draw.flag();
  config.data.skip_bad = draw.flag();
  config.data.max_bad = draw.integer(0);
  for (uint64_t i = 0; i < draw.below(4); ++i) {
    TaskConfig& task = config.tasks[draw.name()];
    if (draw.flag()) task.metric = draw.text();
    if (draw.flag()) task.overflow = draw.choice<Overflow>();
    if (draw.flag()) task.prompt = draw.text();
    if (draw.flag()) task.max_new_tokens = draw.integer(1);
    if (draw.flag()) task.max_rows = draw.integer(1);
    if (draw.flag()) task.weight = 1e6 * (1 - draw.fraction());
    if (draw.flag()) task.share = 1e9 * (1 - draw.fraction());
    if (draw.flag()) task.group = draw.text();
    if (draw.flag()) task.labels = {draw.text() + "1", draw.text() + "2"};
  }
  config.chat_template.chat = draw.flag();
  config.chat_template.system = draw.text();
  static const std::vector<std::string> kJson = {"true",   "false",    "null",  "3",    "-0.5",
                                                 "1e+300", "\"true\"", "\"3\"", "\"\"", "\"a \\\"b\\\"\\n\""};
  for (const std::string& json : kJson) {
    if (draw.flag()) config.chat_template.options[draw.text()] = json;
  }
  config.adapter.method = draw.choice<Method>();
  config.random_init = config.adapter.method == Method::kFull && draw.flag();
  if (config.adapter.method != Method::kFull) config.quantization = draw.choice<Quantization>();
  config.adapter.experts = 1 + static_cast<int64_t>(draw.below(16));
  config.adapter.rank = config.adapter.experts * (1 + static_cast<int64_t>(draw.below(16)));
  config.adapter.alpha = draw.positive();
  config.adapter.dropout = draw.fraction();
  config.adapter.targets = {"q_proj", R"(model\.layers\.[0-3]\..*_proj)"};
  config.adapter.init_a = draw.choice<InitA>();
  config.adapter.gate = {draw.choice<GateScope>(), draw.choice<GateNormalise>(),
                         1 + static_cast<int64_t>(draw.below(500))};
  config.train = {.epochs = std::min(draw.positive(), 1e6),
                  .max_steps = draw.integer(0),
                  .batch_size = draw.integer(1),
                  .tokens_per_batch = draw.integer(100002),
                  .learning_rate = draw.positive(),
                  .schedule = draw.choice<Schedule>(),
                  .warmup_ratio = draw.fraction(),
                  .weight_decay = draw.positive(),
                  .beta1 = draw.fraction(),
                  .beta2 = draw.fraction(),
                  .epsilon = draw.positive(),
                  .clip = draw.positive(),
                  .loss_normalisation = draw.choice<LossNormalisation>(),
                  .temperature = draw.positive(),
                  .recompute = draw.choice<Recompute>(),
                  .weight_layout = draw.choice<WeightLayout>(),
                  .dtype = draw.choice<DType>(),
                  .threads = static_cast<int64_t>(draw.below(4000)),
                  .seed = draw.flag() ? ~uint64_t{0} - draw.below(9) : draw.below(100),
                  .log_every = draw.integer(1),
                  .conflict_every = draw.integer(0)};
  config.eval = {draw.integer(0), draw.flag(),     draw.integer(0), draw.text(),
                 draw.integer(0), draw.integer(1), draw.integer(1)};
  config.checkpoint = {draw.integer(0), draw.integer(2)};
  return config;
}

TEST(ToYaml, IsReadBackExactly) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const RunConfig config = drawn(seed);
    const std::string yaml = to_yaml(config);
    try {
      ASSERT_TRUE(parse_config(yaml, "anywhere/run.yaml") == config) << "seed " << seed << "\n" << yaml;
    } catch (const ErrorList& list) {
      FAIL() << "seed " << seed << ": " << list.what() << "\n" << yaml;
    }
  }
}

TEST(ToYaml, WritesEveryKey) {
  RunConfig config = drawn(1);
  const std::string yaml = to_yaml(config);
  for (const KeySchema& key : schema()) {
    if (key.key.starts_with("data.sources[]") || key.key.starts_with("tasks.")) continue;
    const std::string name = key.key.substr(key.key.rfind('.') + 1);
    EXPECT_NE(yaml.find(name + ":"), std::string::npos) << key.key;
  }
}

TEST(EnumNames, ComeBackAsTheirValues) {
  EXPECT_EQ(from_name<Method>(name_of(Method::kUniform)), Method::kUniform);
  EXPECT_EQ(name_of(GateScope::kPerLayer), "per_layer");
  EXPECT_EQ(name_of(DType::kBFloat16), "bfloat16");
  EXPECT_EQ(from_name<Schedule>("cosin"), std::nullopt);
}

}  // namespace
}  // namespace moelora::config
