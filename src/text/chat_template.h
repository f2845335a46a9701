// A model's chat template: messages to the text its base was tuned on, as transformers' apply_chat_template renders
// them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace moelora::text {

/// Key order is kept: `tojson` writes an object's keys in the order they came in, as Python does.
using Json = nlohmann::ordered_json;

struct RenderOptions {
  /// Ends with the opening of an assistant turn: what generation continues.
  bool add_generation_prompt = false;
  /// Every other variable of the template: bos_token, eos_token, enable_thinking, date_string ... Error(kConfig) where
  /// it names `messages`, `tools` or `add_generation_prompt`.
  Json variables = Json::object();
};

/// Immutable and cheap to copy; render() may run in any number of threads at once. Jinja as transformers sets it up:
/// trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, `tojson` as
/// json.dumps(ensure_ascii=False), {% generation %} accepted, Python's methods of str, dict and list. Time, output size
/// and recursion are bounded.
class ChatTemplate {
 public:
  /// `name` stands for the file in errors. Throws Error(kModel) with the line where the source is not a template.
  ChatTemplate(std::string source, std::string name);

  /// messages: array of {role, content, ...}. Throws Error(kData) where the template refuses the messages
  /// (raise_exception: its own words), where the messages are not an array of objects or hold invalid UTF-8;
  /// Error(kModel) with name and line where the template itself fails; Error(kLimit) where it exceeds its bounds.
  std::string render(const Json& messages, const RenderOptions& options) const;

  const std::string& source() const;
  const std::string& name() const;
  /// XXH3-128 of the source, 32 hex digits: recorded with what was trained and compared when it is used again.
  const std::string& hash() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace moelora::text
