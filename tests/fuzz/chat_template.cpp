// A chat template: parsed, then rendered for a conversation and for a prompt.
#include "text/chat_template.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const text::ChatTemplate chat_template{std::string(input), "chat_template.jinja"};
  static const text::Json messages = {{{"role", "system"}, {"content", "Be brief."}},
                                      {{"role", "user"}, {"content", "糖尿病?"}},
                                      {{"role", "assistant"}, {"content", "E11"}}};
  const text::Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"enable_thinking", false}};
  chat_template.render(messages, {.variables = variables});
  chat_template.render({messages[1]}, {.add_generation_prompt = true, .variables = variables});
}

}  // namespace moelora::fuzz
