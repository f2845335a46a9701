#include "base_flags.h"

#include "config/enum_names.h"

namespace moelora::app {

train::OpenRunOptions BaseFlags::options() const {
  train::OpenRunOptions options{.base = base, .other_base = other_base};
  if (!quantization.empty()) options.quantization = config::from_name<config::Quantization>(quantization);
  return options;
}

void add_base_flags(CLI::App& verb, BaseFlags& flags) {
  verb.add_option("--base", flags.base, "the base model, where it isn't where it was");
  verb.add_flag("--other-base", flags.other_base, "accept a base with other weights than the run's");
}

void add_quantization_flag(CLI::App& verb, BaseFlags& flags) {
  verb.add_option("--quantization", flags.quantization,
                  "keep the base's linears in this form; default: the one the run was trained on")
      ->check(CLI::IsMember(config::enum_names(config::Quantization{})));
}

}  // namespace moelora::app
