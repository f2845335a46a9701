// The bounds of the engine that writes answers: the same for generate and chat.
#pragma once

#include <CLI/CLI.hpp>

#include "generate/engine.h"

namespace moelora::app {

/// Positions of prompts that are kept where no flag says otherwise.
inline constexpr int64_t kPrefixCacheTokens = 16384;

/// --cache-tokens and --prefix-cache-tokens, into `options`.
void add_cache_flags(CLI::App& verb, generate::EngineOptions& options);

}  // namespace moelora::app
