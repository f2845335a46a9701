#include "io/published_moelora.h"

#include <ATen/ops/cat.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "io/json_file.h"
#include "io/peft_adapter.h"
#include "io/peft_names.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

using nlohmann::json;

constexpr int64_t kMaxRank = 65536;
constexpr std::string_view kGate = "lora_gate.GateL.weight";
constexpr std::string_view kEmbedding = "lora_task_embedding.weight";

class Reader {
 public:
  explicit Reader(const std::filesystem::path& dir)
      : config_path_((dir / kPeftConfigFile).string()), config_(read_json_object(dir / kPeftConfigFile)) {
    check_kind();
    result_.rank = count("r");
    result_.experts = count("expert_num");
    if (result_.rank % result_.experts != 0) refuse("r", "the rank doesn't divide into the experts");
    result_.alpha = number("lora_alpha");
    result_.dropout = number("lora_dropout");
    if (!(result_.alpha > 0)) refuse("lora_alpha", "not positive");
    if (!(result_.dropout >= 0 && result_.dropout < 1)) refuse("lora_dropout", "not a probability below 1");
    read_weights(dir);
  }

  PublishedMoelora finish() {
    for (auto& [module, halves] : experts_)
      result_.modules[module] = {stacked(module, halves.a, 0), stacked(module, halves.b, 1)};
    if (result_.modules.empty())
      throw Error(ErrorKind::kModel, {.where = weights_path_, .problem = "no experts in it"});
    require_shape(kGate, result_.gate, result_.experts);
    require_shape(kEmbedding, result_.task_embedding, -1);
    if (result_.gate.size(1) != result_.task_embedding.size(1)) {
      fail(kGate, "the gate reads embeddings of another size", std::to_string(result_.gate.size(1)),
           std::to_string(result_.task_embedding.size(1)));
    }
    return std::move(result_);
  }

 private:
  struct Halves {
    std::vector<at::Tensor> a, b;  // by expert
  };

  [[noreturn]] void refuse(const std::string& key, std::string problem, std::string expected = {}) const {
    throw key_error(config_path_, config_, key, std::move(problem), std::move(expected));
  }
  [[noreturn]] void fail(std::string_view tensor, std::string problem, std::string found = {},
                         std::string expected = {}) const {
    throw Error(ErrorKind::kModel, {.where = tensor_place(weights_path_, tensor),
                                    .problem = std::move(problem),
                                    .found = std::move(found),
                                    .expected = std::move(expected)});
  }

  int64_t count(const std::string& key) const {
    const auto value = config_.find(key);
    if (value == config_.end() || !value->is_number_integer() || *value < 1 || *value > kMaxRank) {
      refuse(key, "not a number of at least 1", "a whole number from 1 to " + std::to_string(kMaxRank));
    }
    return value->get<int64_t>();
  }
  double number(const std::string& key) const {
    const auto value = config_.find(key);
    if (value == config_.end() || !value->is_number() || !std::isfinite(value->get<double>()))
      refuse(key, "not a number");
    return value->get<double>();
  }

  void check_kind() const {
    const auto type = config_.find("peft_type");
    if (type == config_.end() || *type != "MMOELORAS") {
      refuse("peft_type", "not a checkpoint of the public MOELoRA code with a shared gate", "\"MMOELORAS\"");
    }
    const auto transposed = config_.find("fan_in_fan_out");
    if (transposed != config_.end() && *transposed != false) refuse("fan_in_fan_out", "not supported", "false");
    const auto bias = config_.find("bias");
    if (bias != config_.end() && *bias != "none") refuse("bias", "not supported", "\"none\"");
    const auto saved = config_.find("modules_to_save");
    if (saved != config_.end() && !saved->empty()) refuse("modules_to_save", "not supported", "null");
  }

  void read_weights(const std::filesystem::path& dir) {
    const std::filesystem::path file = peft_weights_file(dir);
    weights_path_ = file.string();
    for (const auto& [name, tensor] : read_peft_weights(file)) enter(name, tensor);
  }

  void enter(const std::string& name, const at::Tensor& tensor) {
    // Model-wide, whatever wraps the model; those of a layer stand under a module's path.
    if (name == kGate || name == "base_model." + std::string(kGate)) {
      result_.gate = tensor;
    } else if (name == kEmbedding || name == "base_model." + std::string(kEmbedding)) {
      result_.task_embedding = tensor;
    } else if (name.starts_with(kPeftPrefix) && (name.ends_with(kGate) || name.ends_with(kEmbedding))) {
      return;  // a layer's own, never used by the form with a shared gate
    } else if (!enter_expert(name, tensor)) {
      fail(name, "not a tensor of a MOELoRA checkpoint", "",
           "base_model.model.<module>.lora_A.loraA.<n>.mlp.weight, .lora_B.loraB.<n>.mlp.weight, the gate or the "
           "embedding");
    }
  }

  bool enter_expert(const std::string& name, const at::Tensor& tensor) {
    for (const bool is_a : {true, false}) {
      const std::string middle = is_a ? ".lora_A.loraA." : ".lora_B.loraB.";
      const size_t at = name.find(middle);
      if (!name.starts_with(kPeftPrefix) || at == std::string::npos || at <= kPeftPrefix.size()) continue;
      const std::string_view rest = std::string_view(name).substr(at + middle.size());
      int64_t expert = -1;
      const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), expert);
      const std::string_view kind(end, static_cast<size_t>(rest.data() + rest.size() - end));
      if (problem != std::errc() || (kind != ".mlp.weight" && kind != ".weight")) return false;
      if (expert < 0 || expert >= result_.experts) fail(name, "an expert that the configuration doesn't have");
      if (kind == ".weight") return true;  // the same weight under its second name
      Halves& halves = experts_[name.substr(kPeftPrefix.size(), at - kPeftPrefix.size())];
      std::vector<at::Tensor>& half = is_a ? halves.a : halves.b;
      half.resize(static_cast<size_t>(result_.experts));
      half[static_cast<size_t>(expert)] = tensor;
      return true;
    }
    return false;
  }

  /// The experts' halves as one: A by rows, B by columns.
  at::Tensor stacked(const std::string& module, const std::vector<at::Tensor>& experts, int64_t dimension) const {
    const std::string name = module + (dimension == 0 ? ".lora_A" : ".lora_B");
    if (experts.empty()) fail(name, "missing");
    for (size_t n = 0; n < experts.size(); ++n) {
      if (!experts[n].defined()) fail(name, "expert " + std::to_string(n) + " is missing");
      if (experts[n].dim() != 2 || experts[n].size(dimension) != result_.rank / result_.experts ||
          experts[n].size(1 - dimension) != experts[0].size(1 - dimension)) {
        fail(name, "expert " + std::to_string(n) + " has a shape that doesn't fit");
      }
    }
    return at::cat(experts, dimension);
  }

  void require_shape(std::string_view name, const at::Tensor& tensor, int64_t rows) const {
    if (!tensor.defined()) fail(name, "missing");
    if (tensor.dim() != 2 || tensor.size(0) < 1 || tensor.size(1) < 1 || tensor.size(1) > kMaxRank ||
        (rows >= 0 && tensor.size(0) != rows)) {
      fail(name, "of a shape that doesn't fit");
    }
  }

  std::string config_path_;
  std::string weights_path_;
  json config_;
  PublishedMoelora result_;
  std::map<std::string, Halves> experts_;
};

}  // namespace

PublishedMoelora read_published_moelora(const std::filesystem::path& dir) {
  return Reader(dir).finish();
}

}  // namespace moelora::io
