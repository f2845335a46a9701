// Weights that bitsandbytes stored in NF4: read where their parts fit together, refused by name where they don't.
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <functional>
#include <limits>
#include <map>

#include "io/hf_model.h"
#include "io/hf_model_copy.h"
#include "io/tensor_file.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const char* const kName = "model.layers.0.mlp.up_proj.weight";
const std::vector<int64_t> kShape = {3, 64};

at::Tensor bytes_of(const std::string& text) {
  return at::tensor(std::vector<uint8_t>(text.begin(), text.end()), at::kByte);
}

/// The parts of a weight of `kShape` whose codes are all 7, the level 0, but for the first two: -1 and 1.
std::map<std::string, at::Tensor> parts() {
  at::Tensor codes = at::full({96, 1}, 0x77, at::kByte);
  codes[0][0] = 0x0F;
  return {{"", codes},
          {".absmax", at::tensor(std::vector<float>{0.5, 2, 3}, at::kFloat)},
          {".quant_map", kernels::nf4_levels()},
          {".quant_state.bitsandbytes__nf4",
           bytes_of(R"({"quant_type":"nf4","blocksize":64,"dtype":"float32","shape":[3,64]})")}};
}

std::shared_ptr<HfModel> write_model(const TestDirectory& directory, const std::map<std::string, at::Tensor>& parts) {
  NamedTensors tensors;
  for (const auto& [ending, tensor] : parts) tensors.emplace_back(kName + ending, tensor);
  std::string bytes;
  write_tensors(tensors, {}, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  write_text(directory / "config.json", R"({"model_type":"qwen3"})");
  write_text(directory / "model.safetensors", bytes);
  return HfModel::open(directory.path());
}

/// What reading a weight whose parts `change` spoiled complains about.
std::string error_after(const std::function<void(std::map<std::string, at::Tensor>&)>& change) {
  const TestDirectory directory;
  std::map<std::string, at::Tensor> spoiled = parts();
  change(spoiled);
  const auto model = write_model(directory, spoiled);
  return model_error([&] { model->load(kName, kShape, at::kFloat); });
}

TEST(HfModelNf4, LoadDequantises) {
  const TestDirectory directory;
  const auto model = write_model(directory, parts());
  EXPECT_TRUE(model->is_nf4(kName));
  const at::Tensor weight = model->load(kName, kShape, at::kFloat);
  EXPECT_EQ(weight[0][0].item<float>(), -0.5f);
  EXPECT_EQ(weight[0][1].item<float>(), 0.5f);
  EXPECT_EQ(weight.abs().sum().item<float>(), 1.0f);
  EXPECT_EQ(model->load(kName, kShape, at::kBFloat16).scalar_type(), at::kBFloat16);
}

TEST(HfModelNf4, PartsThatDontFitAreRefusedByName) {
  const auto set = [](const char* ending, const at::Tensor& tensor) {
    return [=](std::map<std::string, at::Tensor>& parts) { parts[ending] = tensor; };
  };
  const auto state = [&](const std::string& json) { return set(".quant_state.bitsandbytes__nf4", bytes_of(json)); };
  const char* const kFits = "it doesn't fit its weight";
  EXPECT_THAT(error_after(set("", at::full({95, 1}, 0, at::kByte))), AllOf(HasSubstr(kName), HasSubstr(kFits)));
  EXPECT_THAT(error_after(set("", at::full({96, 1}, 0, at::kFloat))), HasSubstr(kFits));
  EXPECT_THAT(error_after(set(".absmax", at::full({4}, 1, at::kFloat))), AllOf(HasSubstr(".absmax"), HasSubstr(kFits)));
  EXPECT_THAT(error_after(set(".absmax", at::full({3}, 1, at::kByte))), HasSubstr(kFits));
  EXPECT_THAT(error_after([](auto& parts) { parts.erase(".absmax"); }), HasSubstr("a part of it is missing"));
  EXPECT_THAT(error_after([](auto& parts) { parts.erase(".quant_map"); }), HasSubstr("a part of it is missing"));
  EXPECT_THAT(error_after(set(".quant_map", at::full({16}, 1, at::kFloat))), HasSubstr("those of NF4"));
  EXPECT_THAT(error_after(set(".absmax", at::full({3}, std::numeric_limits<float>::infinity(), at::kFloat))),
              HasSubstr("scales that aren't finite"));
  EXPECT_THAT(error_after(state("{")), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_after(state("{}")), HasSubstr("`quant_type`"));
  EXPECT_THAT(error_after(state(R"({"quant_type":"nf4","blocksize":128,"shape":[3,64]})")),
              HasSubstr("blocksize: 128"));
  EXPECT_THAT(error_after(state(R"({"quant_type":"nf4","blocksize":"x","shape":[3,64]})")), HasSubstr("`blocksize`"));
  EXPECT_THAT(error_after(state(R"({"quant_type":"nf4","blocksize":64,"shape":[64,3]})")), HasSubstr("[3,64]"));
  EXPECT_THAT(error_after(set(".nested_absmax", at::full({1}, 1, at::kFloat))), HasSubstr(".absmax"));
  EXPECT_THAT(error_after([](auto& parts) { parts.erase(""); }), HasSubstr("no tensor"));
}

TEST(HfModelNf4, AVectorIsRefused) {
  const TestDirectory directory;
  std::map<std::string, at::Tensor> vector = parts();
  vector[".quant_state.bitsandbytes__nf4"] = bytes_of(R"({"quant_type":"nf4","blocksize":64,"shape":[192]})");
  const auto model = write_model(directory, vector);
  EXPECT_THAT(model_error([&] { model->load(kName, {192}, at::kFloat); }),
              AllOf(HasSubstr(kName), HasSubstr("shape: [192]"), HasSubstr("that of a matrix")));
}

TEST(HfModelNf4, AnAdapterCantBeMergedIntoIt) {
  const TestDirectory directory;
  const auto model = write_model(directory, parts());
  HfModelCopy copy;
  copy.changes[kName] = [](const at::Tensor& stored) { return stored; };
  EXPECT_THAT(model_error([&] { write_hf_copy(directory / "merged", *model, copy); }), HasSubstr("in 4 bits"));
  EXPECT_FALSE(std::filesystem::exists(directory / "merged"));
}

}  // namespace
}  // namespace moelora::io
