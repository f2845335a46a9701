#include "io/peft_adapter.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "io/json_file.h"
#include "io/tensor_file.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

PeftAdapter small_adapter() {
  return {.r = 2,
          .base_model_name_or_path = "org/base",
          .target_modules = {"k_proj", "q_proj"},
          .modules = {{"model.layers.0.self_attn.q_proj", {at::ones({2, 4}), at::ones({6, 2})}},
                      {"model.layers.0.self_attn.k_proj", {at::ones({2, 4}), at::ones({3, 2})}}},
          .readme = "# Card\n"};
}

TEST(PeftAdapter, ConfigHasExactlyTheKeysEveryReaderKnows) {
  const TestDirectory directory;
  write_peft_adapter(directory / "a", small_adapter());
  EXPECT_EQ(read_text(directory / "a/adapter_config.json"), R"({
  "alpha_pattern": {},
  "auto_mapping": null,
  "base_model_name_or_path": "org/base",
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "layer_replication": null,
  "layers_pattern": null,
  "layers_to_transform": null,
  "loftq_config": {},
  "lora_alpha": 2,
  "lora_dropout": 0.0,
  "megatron_config": null,
  "megatron_core": "megatron.core",
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 2,
  "rank_pattern": {},
  "revision": null,
  "target_modules": [
    "k_proj",
    "q_proj"
  ],
  "task_type": "CAUSAL_LM",
  "use_dora": false,
  "use_rslora": false
}
)");
  EXPECT_EQ(read_text(directory / "a/README.md"), "# Card\n");
  const auto file = SafetensorsFile::open(directory / "a/adapter_model.safetensors");
  EXPECT_EQ(file->metadata(), (StringMap{{"format", "pt"}}));
  EXPECT_EQ(file->at("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight").shape,
            (std::vector<int64_t>{6, 2}));
}

TEST(PeftAdapter, ComesBackAsItWas) {
  const TestDirectory directory;
  const PeftAdapter written = small_adapter();
  write_peft_adapter(directory / "a", written);
  const PeftAdapter read = read_peft_adapter(directory / "a");
  EXPECT_EQ(read.r, written.r);
  EXPECT_EQ(read.base_model_name_or_path, written.base_model_name_or_path);
  EXPECT_EQ(read.target_modules, written.target_modules);
  EXPECT_EQ(read.readme, written.readme);
  ASSERT_EQ(read.modules.size(), written.modules.size());
  for (const auto& [module, pair] : written.modules) {
    EXPECT_TRUE(at::equal(read.modules.at(module).a, pair.a));
    EXPECT_TRUE(at::equal(read.modules.at(module).b, pair.b));
  }
}

TEST(PeftAdapter, WritingRefusesWhatWouldLoadAsSomethingElse) {
  const TestDirectory directory;
  const auto refused = [&](auto change) {
    PeftAdapter adapter = small_adapter();
    change(adapter);
    EXPECT_THROW(write_peft_adapter(directory / "a", adapter), Error);
    return !std::filesystem::exists(directory / "a");
  };
  const std::string q = "model.layers.0.self_attn.q_proj";
  EXPECT_TRUE(refused([](PeftAdapter& a) { a.r = 3; }));
  EXPECT_TRUE(refused([](PeftAdapter& a) { a.target_modules = {"q_proj", "proj"}; }));
  EXPECT_TRUE(refused([](PeftAdapter& a) { a.modules.clear(); }));
  EXPECT_TRUE(refused([&](PeftAdapter& a) { a.modules[q].b = at::zeros({6, 2}, at::kBFloat16); }));
  EXPECT_TRUE(refused([&](PeftAdapter& a) { a.modules[q].a = at::zeros({2}); }));
}

/// What reading says once `change` has been made to the config of a good adapter.
std::string config_error(const std::function<void(nlohmann::json&)>& change) {
  const TestDirectory directory;
  write_peft_adapter(directory / "a", small_adapter());
  nlohmann::json config = read_json_object(directory / "a/adapter_config.json");
  change(config);
  write_text(directory / "a/adapter_config.json", config.dump());
  return model_error([&] { read_peft_adapter(directory / "a"); });
}

TEST(PeftAdapter, ReadingRefusesWhatIsntPlainLora) {
  using Json = nlohmann::json;
  const auto with = [](const char* key, const Json& value) {
    return config_error([&](Json& config) { config[key] = value; });
  };
  EXPECT_THAT(with("peft_type", "IA3"), AllOf(HasSubstr("adapter_config.json, key `peft_type`"), HasSubstr("IA3")));
  EXPECT_THAT(with("use_dora", true), HasSubstr("`use_dora`"));
  EXPECT_THAT(with("use_dora", "yes"), HasSubstr("not a boolean"));
  EXPECT_THAT(with("bias", "all"), HasSubstr("`bias`"));
  EXPECT_THAT(with("fan_in_fan_out", true), HasSubstr("`fan_in_fan_out`"));
  EXPECT_THAT(with("modules_to_save", Json::array({"lm_head"})), HasSubstr("`modules_to_save`"));
  EXPECT_THAT(with("rank_pattern", {{"q_proj", 4}}), HasSubstr("`rank_pattern`"));
  EXPECT_THAT(with("alpha_pattern", {{"q_proj", 4}}), HasSubstr("`alpha_pattern`"));
  EXPECT_THAT(with("init_lora_weights", "pissa"), HasSubstr("changes the base"));
  EXPECT_THAT(with("r", 3), HasSubstr("don't fit the rank"));
  for (const Json& r : {Json(0), Json(-2), Json(2.0), Json("2"), Json(nullptr), Json(1'000'000'000)}) {
    EXPECT_THAT(with("r", r), HasSubstr("key `r`")) << r;
  }
  EXPECT_THAT(with("lora_alpha", "16"), HasSubstr("key `lora_alpha`"));
  EXPECT_THAT(with("lora_alpha", nullptr), HasSubstr("key `lora_alpha`"));
  EXPECT_THAT(with("target_modules", Json::array({1})), HasSubstr("key `target_modules`"));
}

TEST(PeftAdapter, ReadingRefusesForeignAndHalfTensors) {
  const TestDirectory directory;
  const auto error = [&](const std::string& name) {
    std::filesystem::remove_all(directory / "a");
    write_peft_adapter(directory / "a", small_adapter());
    write_text(
        directory / "a/adapter_model.safetensors",
        safetensors_bytes("{\"" + name + R"(":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", "12345678"));
    return model_error([&] { read_peft_adapter(directory / "a"); });
  };
  EXPECT_THAT(error("base_model.model.x.q_proj.lora_A.weight"),
              AllOf(HasSubstr("module `x.q_proj`"), HasSubstr("no lora_B")));
  write_text(directory / "a/adapter_model.safetensors",
             safetensors_bytes(
                 R"({"base_model.model.x.q_proj.lora_A.weight":{"dtype":"I32","shape":[2,1],"data_offsets":[0,8]}})",
                 "12345678"));
  EXPECT_THAT(model_error([&] { read_peft_adapter(directory / "a"); }),
              AllOf(HasSubstr("adapter_model.safetensors"), HasSubstr("lora_A"), HasSubstr("I32")));
  for (const char* name :
       {"x.q_proj.lora_A.weight", "base_model.model.lora_A.weight", "base_model.model..lora_A.weight",
        "base_model.model.x.lora_magnitude_vector", "base_model.model.x.lora_embedding_A", "lora_A.weight", ""}) {
    EXPECT_THAT(error(name), HasSubstr("not a tensor of a plain LoRA adapter")) << name;
  }
}

TEST(PeftAdapter, ReadingRefusesEveryCutAndAnotherSizeOrKindByName) {
  const TestDirectory directory;
  write_peft_adapter(directory / "a", small_adapter());
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
    const std::string whole = read_text(directory / "a" / name);
    std::vector<std::string> spoiled = {whole + "\xff", std::string(100, '\0'), "[]", "PK\x03\x04"};
    for (size_t size = 0; size + 2 < whole.size(); size += 7) spoiled.push_back(whole.substr(0, size));
    for (const std::string& contents : spoiled) {
      write_text(directory / "a" / name, contents);
      ASSERT_THAT(model_error([&] { read_peft_adapter(directory / "a"); }), HasSubstr(name)) << contents.size();
    }
    write_text(directory / "a" / name, whole);
  }
  EXPECT_NO_THROW(read_peft_adapter(directory / "a"));
}

TEST(PeftAdapterInterop, OursLoadsInPeftAndGivesTheLogitsOfTheMergedWeights) {
  const TestDirectory directory;
  oracle({"make-model", directory.path().string()});
  const auto model = SafetensorsFile::open(directory / "whole/model.safetensors");
  PeftAdapter adapter{.r = 4, .base_model_name_or_path = (directory / "whole").string()};
  adapter.target_modules = {"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"};
  int64_t parameters = 0;
  for (const std::string& name : model->names()) {
    const std::string module = name.substr(0, name.rfind('.'));
    if (!module.ends_with("_proj")) continue;
    const std::vector<int64_t>& shape = model->at(name).shape;
    adapter.modules[module] = {at::randn({4, shape[1]}), at::randn({shape[0], 4}).mul(0.1)};  // B far from 0
    parameters += 4 * (shape[0] + shape[1]);
  }
  ASSERT_EQ(adapter.modules.size(), 14);
  write_peft_adapter(directory / "adapter", adapter);
  const auto report = nlohmann::json::parse(
      oracle({"check-adapter", (directory / "whole").string(), (directory / "adapter").string()}), nullptr, false);
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["parameters"], parameters);
  EXPECT_GT(report["effect"], 0.1);
  EXPECT_LT(report["difference"].get<double>(), 1e-4);
  EXPECT_LT(report["difference"].get<double>(), report["effect"].get<double>() * 1e-3);
}

TEST(PeftAdapterInterop, PeftsOwnAdaptersAreReadWithTheirScaleBakedIn) {
  const TestDirectory directory;
  oracle({"make-model", directory.path().string()});
  oracle({"make-adapter", (directory / "whole").string(), directory.path().string()});
  const auto updates = SafetensorsFile::open(directory / "updates.safetensors");
  int compared = 0;
  for (const std::string variant : {"plain", "rslora", "torch_file"}) {
    EXPECT_EQ(std::filesystem::exists(directory / variant / "adapter_model.bin"), variant == "torch_file");
    const PeftAdapter adapter = read_peft_adapter(directory / variant);
    EXPECT_EQ(adapter.r, 4);
    EXPECT_EQ(adapter.target_modules, (std::vector<std::string>{"down_proj", "q_proj"}));
    EXPECT_EQ(adapter.modules.size(), 4);
    for (const auto& [module, pair] : adapter.modules) {
      const at::Tensor expected = tensor_of(updates, variant + "/" + module);
      EXPECT_LT(pair.b.mm(pair.a).sub(expected).abs().max().item<float>(), 1e-5) << variant << " " << module;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 12);
}

}  // namespace
}  // namespace moelora::io
