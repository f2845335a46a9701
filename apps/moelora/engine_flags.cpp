#include "engine_flags.h"

namespace moelora::app {

void add_cache_flags(CLI::App& verb, generate::EngineOptions& options) {
  options.prefix_cache_tokens = kPrefixCacheTokens;
  verb.add_option(
          "--cache-tokens", options.cache_tokens,
          "tokens that unfinished answers may come to hold together, prompts included: more wait, and what alone "
          "is longer is refused; 0: no bound")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  verb.add_option("--prefix-cache-tokens", options.prefix_cache_tokens,
                  "tokens of prompts kept for those that begin the same; 0: none")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
}

}  // namespace moelora::app
