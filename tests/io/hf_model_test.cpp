#include "io/hf_model.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include "io/hf_model_writer.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const char* const kConfig = R"({"model_type":"qwen3","hidden_size":2})";

std::string shard(const std::vector<std::string>& names) {
  NamedTensors tensors;
  for (const std::string& name : names) tensors.emplace_back(name, at::arange(4, at::kFloat).reshape({2, 2}));
  std::string bytes;
  write_tensors(tensors, {}, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  return bytes;
}

/// Shards 1 (a) and 2 (b, c) with this index; returns what opening it complains about.
std::string index_error(const TestDirectory& directory, const std::string& index) {
  write_text(directory / "config.json", kConfig);
  write_text(directory / "model-1.safetensors", shard({"a"}));
  write_text(directory / "model-2.safetensors", shard({"b", "c"}));
  write_text(directory / "model.safetensors.index.json", index);
  return model_error([&] { HfModel::open(directory.path()); });
}

std::string weight_map(const std::string& entries) {
  return "{\"metadata\":{},\"weight_map\":{" + entries + "}}";
}

const std::string kA = R"("a":"model-1.safetensors",)";
const std::string kBC = R"("b":"model-2.safetensors","c":"model-2.safetensors")";

TEST(HfModelIndex, AWholeIndexOpens) {
  const TestDirectory directory;
  write_text(directory / "config.json", kConfig);
  write_text(directory / "model-1.safetensors", shard({"a"}));
  write_text(directory / "model-2.safetensors", shard({"b", "c"}));
  write_text(directory / "model.safetensors.index.json", weight_map(kA + kBC));
  EXPECT_EQ(HfModel::open(directory.path())->names(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(HfModelIndex, HostileIndexesAreRefusedWithTensorAndReason) {
  const TestDirectory directory;
  const auto error = [&](const std::string& entries) { return index_error(directory, weight_map(entries)); };
  EXPECT_THAT(index_error(directory, "{}"), HasSubstr("no `weight_map`"));
  EXPECT_THAT(index_error(directory, R"({"weight_map":[]})"), HasSubstr("no `weight_map`"));
  EXPECT_THAT(index_error(directory, "[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(index_error(directory, "{"), AllOf(HasSubstr("index.json"), HasSubstr("not valid JSON")));
  EXPECT_THAT(error(""), HasSubstr("no `weight_map`"));
  EXPECT_THAT(error(R"("a":1)"), AllOf(HasSubstr("tensor `a`"), HasSubstr("isn't a string")));
  EXPECT_THAT(error(R"("a":"model-1.safetensors","a":"model-2.safetensors")"), HasSubstr("duplicate key `a`"));
  for (const char* name :
       {"../model-1.safetensors", "/etc/x.safetensors", "sub/model-1.safetensors", "..\\\\m.safetensors", "model-1.bin",
        "", ".hidden.safetensors", "m\\u0000.safetensors", "..", "./model-1.safetensors"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(error("\"a\":\"" + std::string(name) + "\"," + kBC),
                AllOf(HasSubstr("tensor `a`"), HasSubstr("not the name of a safetensors file in the same directory")));
  }
  EXPECT_THAT(error(kA + kBC + R"(,"d":"model-3.safetensors")"), HasSubstr("shard `model-3.safetensors` is missing"));
  EXPECT_THAT(error(kA + kBC + R"(,"d":"model-2.safetensors")"),
              AllOf(HasSubstr("tensor `d`"), HasSubstr("no shard holds it")));
  EXPECT_THAT(error(kA + R"("b":"model-1.safetensors","c":"model-2.safetensors")"),
              AllOf(HasSubstr("tensor `b`"), HasSubstr("in another shard than the index says"),
                    HasSubstr("`model-2.safetensors`")));
}

TEST(HfModelIndex, ATensorInTwoShardsAndABrokenShardAreRefused) {
  const TestDirectory directory;
  write_text(directory / "config.json", kConfig);
  write_text(directory / "model-1.safetensors", shard({"a", "b"}));
  write_text(directory / "model-2.safetensors", shard({"b", "c"}));
  write_text(directory / "model.safetensors.index.json", weight_map(kA + kBC));
  EXPECT_THAT(model_error([&] { HfModel::open(directory.path()); }),
              AllOf(HasSubstr("tensor `b`"), HasSubstr("in another shard too")));
  write_text(directory / "model-1.safetensors", shard({"a"}).substr(0, 80));
  EXPECT_THAT(model_error([&] { HfModel::open(directory.path()); }), HasSubstr("model-1.safetensors"));
}

TEST(HfModel, MissingPiecesAreNamed) {
  const TestDirectory directory;
  EXPECT_THAT(model_error([&] { HfModel::open(directory.path()); }), HasSubstr("config.json"));
  write_text(directory / "config.json", kConfig);
  EXPECT_THAT(model_error([&] { HfModel::open(directory.path()); }), HasSubstr("no weights"));
  write_text(directory / "pytorch_model.bin", "");
  EXPECT_THAT(model_error([&] { HfModel::open(directory.path()); }), HasSubstr("pickle"));
  write_text(directory / "model.safetensors", shard({"weight"}));
  const auto model = HfModel::open(directory.path());
  EXPECT_THAT(model_error([&] {
                model->load("wieght", {2, 2}, at::kFloat);
              }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("`wieght`"), HasSubstr("did you mean `weight`")));
  EXPECT_THAT(model_error([&] {
                model->load("weight", {2, 3}, at::kFloat);
              }),
              AllOf(HasSubstr("tensor `weight`"), HasSubstr("found [2, 2]"), HasSubstr("expected [2, 3]")));
}

TEST(HfModel, LicenceIsReadFromTheFrontMatter) {
  const TestDirectory directory;
  write_text(directory / "config.json", kConfig);
  write_text(directory / "model.safetensors", shard({"w"}));
  const auto license = [&](const std::string& readme) {
    write_text(directory / "README.md", readme);
    return HfModel::open(directory.path())->license().value_or("none");
  };
  EXPECT_FALSE(HfModel::open(directory.path())->license());
  EXPECT_EQ(license("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model\n"), "apache-2.0");
  EXPECT_EQ(license("---\r\nlicense: \"mit\"\r\n---\r\n"), "mit");
  EXPECT_EQ(license("---\nlicense:\n- cc-by-4.0\ntags: []\n---\n"), "cc-by-4.0");
  EXPECT_EQ(license("---\nlicense: other\nlicense_name: qwen-research\n---\n"), "qwen-research");
  EXPECT_EQ(license("---\nlicense:\ntags: [x]\n---\n"), "none");
  EXPECT_EQ(license("# Model\nlicense: mit\n"), "none");
  EXPECT_EQ(license("---\ntags: []\n---\nlicense: mit\n"), "none");
}

TEST(HfModel, HashIsOfTheWeightsWhateverTheShards) {
  const TestDirectory directory;
  const NamedTensors tensors = {{"b", at::arange(6, at::kFloat)}, {"a", at::zeros({2, 3})}};
  const auto hash = [&](const std::string& name, const NamedTensors& written, int64_t max_shard_bytes) {
    write_hf_model(directory / name, {.config = {{"n", name}}, .tensors = written, .max_shard_bytes = max_shard_bytes});
    return HfModel::open(directory / name)->model_hash();
  };
  const std::string whole = hash("whole", tensors, 1 << 20);
  EXPECT_EQ(whole.size(), 32);
  EXPECT_EQ(hash("shards", tensors, 10), whole);
  EXPECT_NE(hash("shape", {{"b", at::arange(6, at::kFloat)}, {"a", at::zeros({3, 2})}}, 1 << 20), whole);
  EXPECT_NE(hash("name", {{"b", at::arange(6, at::kFloat)}, {"aa", at::zeros({2, 3})}}, 1 << 20), whole);
  at::Tensor changed = at::arange(6, at::kFloat);
  changed.mutable_data_ptr<float>()[5] = -5.0f;
  EXPECT_NE(hash("value", {{"b", changed}, {"a", at::zeros({2, 3})}}, 1 << 20), whole);
}

TEST(HfModel, WeightsThatCantBeLookedAtAreNotSaidToBeMissing) {
  for (const char* file : {"model.safetensors", "model.safetensors.index.json"}) {
    const TestDirectory directory;
    write_text(directory / "config.json", kConfig);
    std::filesystem::create_symlink(file, directory / file);
    try {
      HfModel::open(directory.path());
      ADD_FAILURE() << "opened: " << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << file;
      EXPECT_THAT(error.what(), AllOf(HasSubstr(file), HasSubstr("can't look at")));
    }
  }
}

TEST(HfModel, AnExistingDirectoryIsNeverWrittenOver) {
  const TestDirectory directory;
  write_text(directory / "model/keep", "x");
  EXPECT_THROW(write_hf_model(directory / "model", {.tensors = {{"a", at::zeros({1})}}}), Error);
  EXPECT_EQ(read_text(directory / "model/keep"), "x");
}

// One call of the oracle (it loads transformers) for everything that is about its files.
TEST(HfModelInterop, TransformersDirectoriesAreReadAndOursLoadInTransformers) {
  const TestDirectory directory;
  oracle({"make-model", directory.path().string()});
  const auto whole = HfModel::open(directory / "whole");
  const auto sharded = HfModel::open(directory / "sharded");
  const auto bare = HfModel::open(directory / "bare");
  const auto half = HfModel::open(directory / "half");
  EXPECT_EQ(whole->config().at("model_type"), "qwen3");
  EXPECT_GT(whole->names().size(), 20);
  EXPECT_TRUE(std::filesystem::exists(directory / "sharded/model.safetensors.index.json"));
  EXPECT_EQ(whole->names(), sharded->names());
  EXPECT_EQ(whole->model_hash(), sharded->model_hash());
  EXPECT_NE(whole->model_hash(), half->model_hash());

  NamedTensors tensors;
  for (const std::string& name : whole->names()) {
    const auto file = SafetensorsFile::open(directory / "whole/model.safetensors");
    const std::vector<int64_t> shape = file->at(name).shape;
    const at::Tensor tensor = whole->load(name, shape, at::kFloat);
    EXPECT_TRUE(at::equal(sharded->load(name, shape, at::kFloat), tensor));
    // transformers' own rounding to half, widened again
    EXPECT_TRUE(at::equal(half->load(name, shape, at::kFloat), tensor.to(at::kHalf).to(at::kFloat)));
    if (name != "lm_head.weight") {
      EXPECT_TRUE(bare->contains(name));
      EXPECT_TRUE(at::equal(bare->load(name, shape, at::kFloat), tensor));
    }
    tensors.emplace_back(name, tensor);
  }
  EXPECT_FALSE(bare->contains("lm_head.weight"));
  EXPECT_FALSE(whole->contains("model.model.norm.weight"));

  const nlohmann::json generation_config = read_json_object(directory / "whole/generation_config.json");
  const auto tokenizer = write_text(directory / "tokenizer.json", "{\"version\": \"1.0\"}");
  write_hf_model(directory / "ours", {.config = whole->config(),
                                      .generation_config = generation_config,
                                      .tensors = tensors,
                                      .copied_files = {tokenizer}});
  write_hf_model(directory / "ours-sharded",
                 {.config = whole->config(), .tensors = tensors, .max_shard_bytes = 20'000});
  EXPECT_EQ(read_text(directory / "ours/tokenizer.json"), "{\"version\": \"1.0\"}");
  EXPECT_EQ(HfModel::open(directory / "ours-sharded")->model_hash(), whole->model_hash());
  std::filesystem::remove(directory / "ours/tokenizer.json");  // not a tokenizer that transformers could load
  EXPECT_EQ(oracle({"compare-models", (directory / "whole").string(), (directory / "ours").string(),
                    (directory / "ours-sharded").string()}),
            std::to_string(whole->names().size()) + "\n");
}

}  // namespace
}  // namespace moelora::io
