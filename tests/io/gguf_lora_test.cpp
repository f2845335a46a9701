// Adapters in GGUF: the names and rows of llama.cpp's bases, and files that aren't what they should be. That llama.cpp
// itself computes with them as PEFT does is tests/cli/export_parity.py's.
#include "io/gguf_lora.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <functional>

#include "io/gguf.h"
#include "io/gguf_names.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

/// Four query heads of two, two of keys and values.
nn::ModelConfig shape_of(const std::string& family) {
  nn::ModelConfig shape;
  shape.model_type = family;
  shape.hidden_size = 8;
  shape.intermediate_size = 6;
  shape.layers = 1;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 2;
  return shape;
}

nn::ModelConfig internlm2() {
  nn::ModelConfig shape = shape_of("internlm2");
  shape.fused_qkv = nn::FusedQkv::kByKeyHead;
  shape.names.qkv = {"attention.wqkv"};
  return shape;
}

std::vector<int64_t> rows_of(const GgufLinear& linear) {
  const at::Tensor rows = linear.rows.contiguous();
  return {rows.const_data_ptr<int64_t>(), rows.const_data_ptr<int64_t>() + rows.numel()};
}

TEST(GgufNames, TakeQueriesKeysAndValuesApartByKeyHead) {
  const GgufNames names = gguf_names(internlm2());
  const std::vector<GgufLinear>& parts = names.modules.at("model.layers.0.attention.wqkv").parts;
  ASSERT_EQ(parts.size(), 3u);
  // Rows 0 to 7 are of the first key head: two query heads, key, value. Heads of two are the same in pairs and halves.
  EXPECT_EQ(parts[0].name, "blk.0.attn_q");
  EXPECT_EQ(rows_of(parts[0]), (std::vector<int64_t>{0, 1, 2, 3, 8, 9, 10, 11}));
  EXPECT_EQ(rows_of(parts[1]), (std::vector<int64_t>{4, 5, 12, 13}));
  EXPECT_EQ(rows_of(parts[2]), (std::vector<int64_t>{6, 7, 14, 15}));
}

TEST(GgufNames, PutTheHalvesOfAHeadInTurns) {
  nn::ModelConfig shape = shape_of("llama");
  shape.heads = shape.kv_heads = 2;
  shape.head_dim = 4;
  const GgufNames names = gguf_names(shape);
  EXPECT_EQ(rows_of(names.modules.at("model.layers.0.self_attn.k_proj").parts[0]),
            (std::vector<int64_t>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_FALSE(names.modules.at("model.layers.0.self_attn.v_proj").parts[0].rows.defined());
}

TEST(GgufNames, OfAnUnknownFamilyAreRefusedWithWhatToDoInstead) {
  EXPECT_THAT(model_error([] { gguf_names(shape_of("newfamily")); }),
              testing::AllOf(HasSubstr("newfamily"), HasSubstr("--format merged")));
}

PeftAdapter adapter_of_internlm2() {
  const auto matrix = [](int64_t rows, int64_t columns) {
    return at::arange(rows * columns, at::kFloat).reshape({rows, columns});
  };
  return {.r = 2,
          .modules = {{"model.layers.0.attention.wqkv", {matrix(2, 8), matrix(16, 2)}},
                      {"model.layers.0.mlp.down_proj", {matrix(2, 6), matrix(8, 2)}}},
          .readme = "# Card\n"};
}

TEST(GgufLora, OfALinearInThreePartsComesBackAsItWas) {
  const TestDirectory place;
  write_gguf_lora(place / "a", adapter_of_internlm2(), internlm2(), "task");
  const PeftAdapter read = read_gguf_lora(place / "a", internlm2());
  EXPECT_EQ(read.r, 2);
  ASSERT_EQ(read.modules.size(), 2u);
  for (const auto& [module, pair] : adapter_of_internlm2().modules) {
    EXPECT_TRUE(read.modules.at(module).a.equal(pair.a)) << module;
    EXPECT_TRUE(read.modules.at(module).b.equal(pair.b)) << module;
  }
}

/// A change of a good file, and what its refusal says.
struct Damage {
  std::function<void(GgufFile&)> change;
  std::string said;
};

TEST(GgufLora, OfAnythingElseIsRefusedByName) {
  const TestDirectory place;
  write_gguf_lora(place / "good", adapter_of_internlm2(), internlm2(), "task");
  const std::string good = read_text(place / "good/adapter.gguf");
  const std::vector<float> more(64, 1.0f);
  const auto tensor = [](GgufFile& file, const std::string& name) -> GgufTensor& {
    return *std::ranges::find(file.tensors, name, &GgufTensor::name);
  };
  const auto resize = [&](const std::string& name, std::vector<int64_t> ne) {
    return [&, name, ne](GgufFile& file) {
      GgufTensor& changed = tensor(file, name);
      changed.ne = ne;
      changed.data = std::as_bytes(std::span(more).first(ne[0] * ne[1]));
    };
  };
  const std::vector<Damage> damages = {
      {[](GgufFile& file) { file.keys["general.architecture"] = "llama"; }, "another architecture"},
      {[](GgufFile& file) { file.keys.erase("general.architecture"); }, "general.architecture"},
      {[](GgufFile& file) { file.keys.erase("adapter.lora.alpha"); }, "adapter.lora.alpha"},
      {[](GgufFile& file) { file.keys["adapter.lora.alpha"] = "2"; }, "isn't a number"},
      {[&](GgufFile& file) { tensor(file, "blk.0.attn_q.weight.lora_a").name = "blk.7.attn_q.weight.lora_a"; },
       "blk.7.attn_q"},
      {[&](GgufFile& file) { tensor(file, "blk.0.attn_q.weight.lora_a").name = "blk.0.attn_q.weight"; },
       "not a tensor of a LoRA adapter"},
      {[&](GgufFile& file) {
         file.tensors.erase(std::ranges::find(file.tensors, "blk.0.attn_k.weight.lora_b", &GgufTensor::name));
       },
       "of blk.0.attn_k is missing"},
      {resize("blk.0.attn_q.weight.lora_b", {2, 10}), "blk.0.attn_q.lora_b has other sizes"},
      {resize("blk.0.ffn_down.weight.lora_a", {5, 2}), "blk.0.ffn_down.lora_a has other sizes"},
      {resize("blk.0.ffn_down.weight.lora_b", {2, 9}), "blk.0.ffn_down.lora_b has other sizes"},
      {resize("blk.0.ffn_down.weight.lora_b", {3, 8}), "blk.0.ffn_down.lora_b has other sizes"},
      {resize("blk.0.ffn_down.weight.lora_a", {6, 3}), "its rank isn't the file's"},
      {resize("blk.0.attn_v.weight.lora_a", {8, 2}), "don't have one lora_a"},
      {[&](GgufFile& file) { tensor(file, "blk.0.ffn_down.weight.lora_a").ne = {12}; }, "not a matrix"},
  };
  int number = 0;
  for (const Damage& damage : damages) {
    GgufFile file = parse_gguf(bytes_of(good), "good");
    damage.change(file);
    std::string text;
    write_gguf(file, [&](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    const auto dir = place / ("damaged" + std::to_string(number++));
    write_text(dir / "adapter.gguf", text);
    EXPECT_THAT(model_error([&] { read_gguf_lora(dir, internlm2()); }),
                testing::AllOf(HasSubstr("adapter.gguf"), HasSubstr(damage.said)));
  }
  for (const size_t size : {size_t{0}, size_t{3}, good.size() / 2, good.size() - 64}) {
    const auto dir = place / ("cut" + std::to_string(size));
    write_text(dir / "adapter.gguf", good.substr(0, size));
    EXPECT_THAT(model_error([&] { read_gguf_lora(dir, internlm2()); }), HasSubstr("adapter.gguf"));
  }
}

}  // namespace
}  // namespace moelora::io
