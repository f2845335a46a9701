// What make_expected.py wrote, and the tokenizers it wrote it with. Run `ctest -R text.expected` once before running
// the program by hand.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "support/fixtures_dir.h"
#include "text/tokenizer.h"

namespace moelora::text {

using OrderedJson = nlohmann::ordered_json;

inline OrderedJson expected(const std::string& file) {
  std::ifstream in(testing::fixtures_dir() + "/text/" + file);
  if (!in) throw std::runtime_error("no fixture text/" + file + ": run ctest -R text.expected");
  return OrderedJson::parse(in);
}

/// What `tokenizers` makes of every text of expected_texts.py: {text, ids, bare, decoded, decoded_bare}.
inline OrderedJson encodings_of(const std::string& model) {
  const OrderedJson all = expected("encode_" + model + ".json");
  OrderedJson cases = all["cases"];
  if (cases.size() < 300) throw std::runtime_error("too few texts");
  return cases;
}

inline std::string model_dir(const std::string& name) {
  return ".deps/tokenizers/" + name;
}

inline const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names = {"qwen3", "llama3_1", "llama2", "gemma3"};
  return names;
}

/// Loaded once a program: Gemma's takes seconds.
inline const Tokenizer& tokenizer_of(const std::string& name) {
  static std::map<std::string, Tokenizer> loaded;
  const auto found = loaded.find(name);
  if (found != loaded.end()) return found->second;
  return loaded.emplace(name, Tokenizer::load(model_dir(name) + "/tokenizer.json")).first->second;
}

/// The error that `action` throws.
template <typename Action>
Error thrown_by(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kInternal, {.problem = "nothing was thrown"});
}

/// A matcher: the message contains each of these.
template <typename... Parts>
auto says(const Parts&... parts) {
  return ::testing::ResultOf([](const Error& error) { return std::string(error.what()); },
                             ::testing::AllOf(::testing::HasSubstr(parts)...));
}

}  // namespace moelora::text
