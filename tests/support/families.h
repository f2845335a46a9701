// The models of tests/fixtures/families.py: what every test that compares families with an oracle runs on.
#pragma once

#include <string>
#include <vector>

namespace moelora::testing {

inline const std::vector<std::string> kFamilies = {
    "llama",  "mistral", "mistral_window", "qwen2", "qwen3", "yi",        "gemma2",    "gemma3_text",
    "gemma3", "phi3",    "phi3_longrope",  "glm",   "glm4",  "internlm2", "baichuan2", "chatglm"};

}  // namespace moelora::testing
