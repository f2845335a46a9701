// moelora doctor
#include <cstdio>
#include <filesystem>

#include "core/suggest.h"
#include "core/threads.h"
#include "io/hf_model.h"
#include "kernels/cpu.h"
#include "nn/model_config.h"
#include "torch_version.h"
#include "verbs.h"

namespace moelora::app {
namespace {

void line(const char* name, const std::string& value) {
  std::printf("%-18s %s\n", name, value.c_str());
}

void run_doctor() {
  const CpuFeatures& cpu = cpu_features();
  line("moelora", MOELORA_VERSION);
  line("libtorch", torch_version());
  line("cpu", cpu.name.empty() ? "unknown" : cpu.name);
  line("instructions", list_names(cpu.names(), 32));
  line("kernels", std::string(kernels::cpu_level_name(kernels::cpu_level())) + "  (MOELORA_CPU overrides)");
  line("usable cores", std::to_string(usable_cores()));
  line("dtype auto", cpu.has_bf16() ? "bf16" : "f32 (the CPU has no bf16 products)");
  line("gpu", "not used: this build runs on the CPU");
  line("several machines", "not built in");
  line("families", list_names(nn::supported_families()));
  const std::string hub = io::hub_cache().string();
  line("model cache", hub + (std::filesystem::is_directory(hub) ? "" : "  (not there)"));
}

}  // namespace

void add_doctor(CLI::App& app, const GlobalFlags&) {
  add_verb(app, "doctor", "what this build and this machine can do", "moelora doctor")->callback(run_doctor);
}

}  // namespace moelora::app
