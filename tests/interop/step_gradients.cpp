// step_gradients DIR OUT.safetensors float32|bfloat16: one training step on what benchmarks/peers/peft_step.py --dump
// wrote to DIR. Prints {"loss": L} and writes every adapter gradient under PEFT's names (…lora_A.default.weight).
#include <ATen/ops/cat.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "adapters/adapter_set.h"
#include "config/enum_names.h"
#include "core/error.h"
#include "data/packing.h"
#include "io/peft_adapter.h"
#include "io/tensor_file.h"
#include "support/adapter_layout.h"
#include "train/setup.h"
#include "train/step.h"

namespace moelora {
namespace {

data::StepBatches read_batch(const std::string& path) {
  data::EncodedRows rows(8);
  std::ifstream file(path);
  std::vector<data::Draw> draws;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json sample = nlohmann::json::parse(line);
    const auto ids = sample["ids"].get<std::vector<int32_t>>();
    const std::span<const int32_t> all(ids);
    const size_t prompt = sample["prompt"];
    draws.push_back({.sample = rows.size(), .key = rows.size()});
    rows.append(sample["task"], rows.size(), all.first(prompt), all.subspan(prompt));
  }
  return data::pack(rows, draws, {});
}

void run(const std::string& dir, const std::string& out, const std::string& dtype) {
  config::RunConfig config;
  config.train.dtype = config::from_name<config::DType>(dtype).value();
  const io::PeftAdapter peft = io::read_peft_adapter(dir + "/adapter");
  // read_peft_adapter bakes alpha / r into B: alpha = r here.
  config.adapter = {.method = config::Method::kLora, .rank = peft.r, .alpha = static_cast<double>(peft.r)};
  adapters::Model model{
      train::load_base(train::read_base_files(dir + "/base"), config, train::training_form(config)).decoder, nullptr};
  model.adapters = std::make_unique<adapters::AdapterSet>(
      *model.decoder, config.adapter, std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7"}, 1);
  std::vector<adapters::NamedTensor> values;
  for (const auto& [name, master] : model.adapters->parameters()) {
    std::vector<at::Tensor> parts;
    for (const std::string& path : testing::member_paths(name)) {
      const io::LoraPair& pair = peft.modules.at(path);
      parts.push_back(testing::is_stack(name) ? pair.a : pair.b);
    }
    values.emplace_back(name, at::cat(parts, 0));
  }
  model.adapters->load(values);

  const train::StepLoss loss = train::accumulate_gradients(model, read_batch(dir + "/batch.jsonl"), {});
  std::printf("{\"loss\": %.8f}\n", loss.total().mean());
  std::vector<adapters::NamedTensor> gradients;
  for (const auto& [name, master] : model.adapters->parameters()) {
    const std::vector<std::string> paths = testing::member_paths(name);
    const int64_t rows = master.size(0) / static_cast<int64_t>(paths.size());
    for (size_t i = 0; i < paths.size(); ++i) {
      gradients.emplace_back(
          "base_model.model." + paths[i] + (testing::is_stack(name) ? ".lora_A" : ".lora_B") + ".default.weight",
          master.grad().narrow(0, static_cast<int64_t>(i) * rows, rows).contiguous());
    }
  }
  std::ofstream file(out, std::ios::binary);
  io::write_tensors(gradients, {}, [&](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
}

}  // namespace
}  // namespace moelora

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: step_gradients DIR OUT.safetensors float32|bfloat16\n");
    return 2;
  }
  try {
    moelora::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
