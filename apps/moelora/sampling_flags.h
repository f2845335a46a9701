// The flags that say how answers are drawn: the same for generate and chat.
#pragma once

#include <CLI/CLI.hpp>

#include "generate/row_requests.h"

namespace moelora::app {

/// --temperature, --top-k, --top-p, --min-p, --repetition-penalty, --seed, --max-new-tokens and --stop, into `wish`.
void add_sampling_flags(CLI::App& verb, generate::Wish& wish);

/// Throws Error (kUsage) for values out of range, an empty stop string, and flags of draws where none are made.
void check_sampling_flags(const CLI::App& verb, const generate::Wish& wish);

}  // namespace moelora::app
