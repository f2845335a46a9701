// run_logits RUN BASE TASK PROMPTS OUT float32|bfloat16: the logits of a run's adapter, for whoever compares them with
// another program's.
//   TASK     '': BASE alone, without the adapter
//   PROMPTS  safetensors: `ids` [T] int64, sequences one after another, and `cu_seqlens` [S + 1] int64
//   OUT      safetensors: `logits` [T, V] float32
#include <ATen/core/grad_mode.h>

#include <cstdio>
#include <fstream>
#include <span>

#include "config/enum_names.h"
#include "core/error.h"
#include "io/safetensors.h"
#include "io/tensor_file.h"
#include "train/saved_adapter.h"
#include "train/setup.h"

namespace moelora::train {
namespace {

void write_logits(const std::string& run, const std::string& base, const std::string& task, const std::string& prompts,
                  const std::string& out, const std::string& dtype) {
  const at::NoGradGuard no_grad;
  SavedAdapter saved = load_adapter(run + "/adapter");
  saved.config.train.dtype = config::from_name<config::DType>(dtype).value();
  adapters::Model model{load_base(read_base_files(base), saved.config, linear_form(saved.config.quantization)).decoder,
                        nullptr};
  if (!task.empty()) {
    model.adapters = std::make_unique<adapters::AdapterSet>(*model.decoder, saved.config.adapter, saved.task_list(),
                                                            saved.config.train.seed);
    model.adapters->load(saved.tensors);
  }

  const auto given = io::SafetensorsFile::open(prompts);
  const at::Tensor ids = io::tensor_of(given, "ids"), boundaries = io::tensor_of(given, "cu_seqlens");
  const std::vector<int64_t> cu_seqlens(boundaries.const_data_ptr<int64_t>(),
                                        boundaries.const_data_ptr<int64_t>() + boundaries.numel());
  const std::vector<int64_t> tasks(cu_seqlens.size() - 1, model.adapters ? model.adapters->task_index(task) : 0);
  at::Tensor positions = ids.clone();
  for (size_t s = 0; s < tasks.size(); ++s) {
    for (int64_t i = cu_seqlens[s]; i < cu_seqlens[s + 1]; ++i) positions.data_ptr<int64_t>()[i] = i - cu_seqlens[s];
  }
  nn::PackedAttention attention(cu_seqlens);
  const auto rows = model.adapters ? model.adapters->rows({.cu_seqlens = cu_seqlens, .tasks = tasks}) : nullptr;
  const at::Tensor logits =
      model.decoder->logits(model.decoder->forward({ids, positions}, attention, rows.get())).to(at::kFloat);
  std::ofstream file(out, std::ios::binary);
  io::write_tensors({{"logits", logits}}, {}, [&](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
}

}  // namespace
}  // namespace moelora::train

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: run_logits RUN BASE TASK PROMPTS OUT float32|bfloat16\n");
    return 2;
  }
  try {
    moelora::train::write_logits(argv[1], argv[2], argv[3], argv[4], argv[5], argv[6]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
