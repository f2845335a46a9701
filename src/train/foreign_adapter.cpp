#include "train/foreign_adapter.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

#include "config/method.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/suggest.h"
#include "io/peft_names.h"

namespace moelora::train {
namespace {

std::string shape(const at::Tensor& a, const at::Tensor& b) {
  return "[" + std::to_string(b.size(0)) + ", " + std::to_string(a.size(1)) + "]";
}

/// From the names of parameters(): the stack of a group's A, then the B of each of its linears in the same order.
std::vector<LinearAdapter> linears_of(const adapters::AdapterSet& set) {
  constexpr std::string_view kB = ".lora_B";
  std::vector<LinearAdapter> linears;
  at::Tensor stack;
  int64_t taken = 0;  // rows of the stack that belong to linears before
  for (const auto& [name, master] : set.parameters()) {
    if (name.ends_with(".lora_A")) {
      stack = master.detach();
      taken = 0;
    } else if (name.ends_with(kB)) {
      const int64_t rank = master.size(1);
      linears.push_back({name.substr(0, name.size() - kB.size()), stack.narrow(0, taken, rank), master.detach()});
      taken += rank;
    }
  }
  return linears;
}

}  // namespace

void fill_linears(adapters::AdapterSet& set, const std::map<std::string, io::LoraPair>& modules,
                  const std::string& where,
                  const std::function<void(const LinearAdapter&, const io::LoraPair&)>& fill) {
  const std::vector<LinearAdapter> linears = linears_of(set);
  std::vector<std::string> paths, names;
  for (const LinearAdapter& linear : linears) paths.push_back(linear.path);
  for (const auto& [module, pair] : modules) names.push_back(module);
  const auto fail = [&](const std::string& path, std::string problem, std::string found, std::string expected,
                        std::string hint = {}) {
    throw Error(ErrorKind::kModel, {.where = where + ": `" + path + "`",
                                    .problem = std::move(problem),
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .hint = std::move(hint)});
  };
  for (const std::string& name : names) {
    if (std::ranges::find(paths, name) == paths.end()) {
      fail(name, "the run adapts no such linear", "", "", did_you_mean(name, paths));
    }
  }
  for (const LinearAdapter& linear : linears) {
    const auto pair = modules.find(linear.path);
    if (pair == modules.end()) {
      fail(linear.path, "the run adapts this linear, and the checkpoint has nothing for it", "", "",
           "set adapter.targets to what the checkpoint adapts");
    }
    if (linear.a.size(1) != pair->second.a.size(1) || linear.b.size(0) != pair->second.b.size(0)) {
      fail(linear.path, "a linear of another size than the model's", shape(pair->second.a, pair->second.b),
           shape(linear.a, linear.b));
    }
  }
  const at::NoGradGuard no_grad;
  for (const LinearAdapter& linear : linears) fill(linear, modules.at(linear.path));
  set.refresh();
}

bool is_peft_adapter(const std::filesystem::path& dir) {
  return std::filesystem::exists(dir / io::kPeftConfigFile);
}

std::string peft_hash(const std::filesystem::path& dir) {
  return hash_hex(hash_file_hex(dir / io::kPeftConfigFile) + hash_file_hex(io::peft_weights_file(dir)));
}

void start_from_peft(const RunSetup& setup, const std::filesystem::path& dir) {
  const config::AdapterConfig& own = setup.config.adapter;
  const auto fail = [](std::string problem, std::string found, std::string expected) {
    throw Error(ErrorKind::kConfig, {.where = "adapter.start",
                                     .problem = std::move(problem),
                                     .found = std::move(found),
                                     .expected = std::move(expected)});
  };
  const io::PeftAdapter lora = io::read_peft_adapter(dir);
  const int64_t experts = config::mixes_experts(own.method) ? own.experts : 1;
  const int64_t expert_rank = own.rank / experts;
  if (lora.r != own.rank && lora.r != expert_rank) {
    fail("the LoRA has another rank than the run and than one of its experts", std::to_string(lora.r),
         std::to_string(own.rank) + (experts > 1 ? " or " + std::to_string(expert_rank) : ""));
  }
  // The run multiplies by alpha / rank and by the experts' weights, of which the LoRA's B knows nothing.
  const double scale =
      static_cast<double>(own.rank) / own.alpha * static_cast<double>(config::experts_share_one(own) ? experts : 1);
  fill_linears(*setup.model.adapters, lora.modules, dir.string(),
               [&](const LinearAdapter& linear, const io::LoraPair& pair) {
                 linear.a.narrow(0, 0, lora.r).copy_(pair.a);
                 linear.b.narrow(1, 0, lora.r).copy_(pair.b.mul(scale));
               });
}

}  // namespace moelora::train
