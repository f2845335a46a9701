// A chat template: parsed, then rendered for a conversation, for a prompt, and with tools.
#include "text/chat_template.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const text::ChatTemplate chat_template{std::string(input), "chat_template.jinja"};
  static const text::Json messages = {{{"role", "system"}, {"content", "Be brief."}},
                                      {{"role", "user"}, {"content", "糖尿病?"}},
                                      {{"role", "assistant"}, {"content", "E11"}}};
  static const text::Json tools = {
      {{"type", "function"}, {"function", {{"name", "look_up"}, {"parameters", {{"type", "object"}}}}}}};
  const text::Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"enable_thinking", false}};
  chat_template.render(messages, {.variables = variables});
  chat_template.render({messages[1]}, {.add_generation_prompt = true, .tools = tools, .variables = variables});
}

}  // namespace moelora::fuzz
