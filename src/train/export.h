// One task of a run in a form that other programs load: an ordinary PEFT LoRA directory, a GGUF LoRA file, or the whole
// model with the task's adapter merged into it. Collapsed exactly, gate and scale baked into B.
#pragma once

#include <filesystem>
#include <string>

#include "io/peft_adapter.h"
#include "train/open_run.h"

namespace moelora::train {

enum class ExportFormat { kPeft, kMerged, kGguf };

/// Which weights of the base take the adapter in.
enum class MergeOnto {
  kOriginal,     // those of its files
  kDequantised,  // as the run computed with them: for a run over a base in fewer bits, whose answers a model merged
                 // onto the original ones doesn't give
};

struct ExportOptions {
  ExportFormat format = ExportFormat::kPeft;
  MergeOnto onto = MergeOnto::kOriginal;  // of kMerged
  bool pad_rank = false;                  // to the next of the ranks that vLLM can be told to allow; not for kMerged
};

/// Writes `dir` (must not exist), which appears whole or not at all, with a model card. `run` may have been opened
/// without weights: those of kMerged are streamed from the base's files, each merged in float32 from the pristine
/// tensor or, onto kDequantised, from the dequantised one, and every other linear is written dequantised. Throws Error
/// (kUsage) for an unknown task and for a rank beyond those that can be padded to, Error (kModel) for a method that
/// doesn't collapse (`full`), or a family that kGguf doesn't know.
void export_task(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                 const ExportOptions& options = {});

/// The task's adapter as it is exported, without a card. Throws as export_task.
io::PeftAdapter collapsed_adapter(const OpenRun& run, const std::string& task, const ExportOptions& options = {});

}  // namespace moelora::train
