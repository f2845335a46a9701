#include "text/chat_template.h"

#include <array>
#include <utility>

#include "core/hash.h"
#include "text/rust_library.h"

namespace moelora::text {
namespace {

using internal::Bytes;
using internal::slice;

struct FreeTemplate {
  void operator()(MoeloraTemplate* chat_template) const { moelora_template_free(chat_template); }
};

/// What transformers does to a message before rendering: keys that are null are dropped, and reasoning goes by the
/// three names that templates read it under.
Json prepared(const Json& message) {
  static constexpr std::array kReasoningNames = {"reasoning_content", "thinking", "reasoning"};
  const Json* reasoning = nullptr;
  for (const char* name : kReasoningNames) {
    const auto found = message.find(name);
    if (found != message.end() && !found->is_null()) {
      reasoning = &*found;
      break;
    }
  }
  Json result = Json::object();
  if (reasoning != nullptr) result["thinking"] = *reasoning;
  for (const auto& [key, value] : message.items()) {
    if (!value.is_null()) result[key] = value;
  }
  if (reasoning != nullptr) result["reasoning_content"] = *reasoning;
  return result;
}

Json prepared_messages(const Json& messages) {
  const auto refuse = [](std::string where, std::string problem, const Json& found) {
    throw Error(ErrorKind::kData,
                {.where = std::move(where), .problem = std::move(problem), .found = found.type_name()});
  };
  if (!messages.is_array()) refuse("messages", "not an array", messages);
  if (messages.empty())
    throw Error(ErrorKind::kData, {.where = "messages", .problem = "empty", .expected = "at least one message"});
  Json result = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object()) refuse("message " + std::to_string(i), "not an object", messages[i]);
    result.push_back(prepared(messages[i]));
  }
  return result;
}

Json context_of(const Json& messages, const RenderOptions& options) {
  if (!options.variables.is_object()) {
    throw Error(ErrorKind::kConfig,
                {.where = "template variables", .problem = "not an object", .found = options.variables.type_name()});
  }
  Json context = options.variables;
  context.emplace("documents", nullptr);
  for (const char* name : {"messages", "tools", "add_generation_prompt"}) {
    if (context.contains(name)) {
      throw Error(ErrorKind::kConfig, {.where = "template variables",
                                       .problem = "`" + std::string(name) + "` is not a variable to be set"});
    }
  }
  context["messages"] = prepared_messages(messages);
  context["tools"] = nullptr;  // transformers' default
  context["add_generation_prompt"] = options.add_generation_prompt;
  return context;
}

}  // namespace

struct ChatTemplate::State {
  std::string source;
  std::string name;
  std::string hash;
  std::unique_ptr<MoeloraTemplate, FreeTemplate> compiled;
};

ChatTemplate::ChatTemplate(std::string source, std::string name) {
  auto state = std::make_shared<State>();
  MoeloraTemplate* compiled = nullptr;
  Bytes message;
  const MoeloraStatus status = moelora_template_new(slice(source), &compiled, message.out());
  if (status != MOELORA_OK) {
    throw Error(internal::kind_of(status),
                {.where = std::move(name), .problem = "the chat template can't be read", .found = message.str()});
  }
  state->compiled.reset(compiled);
  state->hash = hash_hex(source);
  state->source = std::move(source);
  state->name = std::move(name);
  state_ = std::move(state);
}

std::string ChatTemplate::render(const Json& messages, const RenderOptions& options) const {
  std::string context;
  try {
    context = context_of(messages, options).dump();
  } catch (const Json::type_error& error) {  // 316: invalid UTF-8; the library's text would quote it
    throw Error(ErrorKind::kData, {.where = "messages", .problem = "a text is not valid UTF-8"});
  }
  Bytes text, message;
  const MoeloraStatus status =
      moelora_template_render(state_->compiled.get(), slice(context), text.out(), message.out());
  switch (status) {
    case MOELORA_OK:
      return text.str();
    case MOELORA_RAISED:
      throw Error(ErrorKind::kData,
                  {.where = name(), .problem = "the chat template refuses the messages: " + message.str()});
    case MOELORA_LIMIT:
      throw Error(ErrorKind::kLimit, {.where = name(), .problem = "the chat template " + message.str()});
    case MOELORA_BAD_ARGUMENT:
      throw Error(ErrorKind::kData,
                  {.where = "messages", .problem = "can't be given to the chat template", .found = message.str()});
    default:
      throw Error(internal::kind_of(status),
                  {.where = name(), .problem = "the chat template fails on these messages", .found = message.str()});
  }
}

const std::string& ChatTemplate::source() const {
  return state_->source;
}
const std::string& ChatTemplate::name() const {
  return state_->name;
}
const std::string& ChatTemplate::hash() const {
  return state_->hash;
}

}  // namespace moelora::text
