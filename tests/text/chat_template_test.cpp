#include "text/chat_template.h"

#include "expected.h"
#include "text/assets.h"

namespace moelora::text {
namespace {

/// The template of a model; Llama-2's package has none, so a template of our own in its manner.
ChatTemplate template_of(const std::string& name, const TextAssets& assets) {
  if (assets.chat_template) return *assets.chat_template;
  const std::string path = "tests/text/templates/" + name + ".jinja";
  std::ifstream in(path);
  return ChatTemplate(std::string(std::istreambuf_iterator<char>(in), {}), path);
}

std::string render(const std::string& source, const Json& variables = Json::object()) {
  const ChatTemplate chat_template(source, "test.jinja");
  return chat_template.render({{{"role", "user"}, {"content", "x"}}}, {.variables = variables});
}

class RealTemplate : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Models, RealTemplate, ::testing::ValuesIn(model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(RealTemplate, RendersAsTransformersDoes) {
  const TextAssets assets = load_text_assets(model_dir(GetParam()));
  const ChatTemplate chat_template = template_of(GetParam(), assets);
  int rendered = 0;
  for (const OrderedJson& item : expected("chat.json")) {
    if (item["model"] != GetParam()) continue;
    RenderOptions options{.add_generation_prompt = item["add_generation_prompt"]};
    options.variables = assets.template_variables;
    options.variables.update(item["variables"]);
    SCOPED_TRACE(item["case"].get<std::string>() + " " + item["variables"].dump());
    if (item.contains("error")) {
      EXPECT_THROW(chat_template.render(item["messages"], options), Error) << item["error"];
      continue;
    }
    const std::string text = chat_template.render(item["messages"], options);
    EXPECT_EQ(text, item["text"]);
    if (item.contains("ids")) {
      EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = false}), item["ids"].get<std::vector<int32_t>>());
    }
    ++rendered;
  }
  EXPECT_GE(rendered, 25);
}

TEST(ChatTemplate, BehavesAsJinja2InTransformers) {
  const OrderedJson all = expected("templates.json");
  RenderOptions options;
  options.variables = all["variables"];
  for (const OrderedJson& item : all["cases"]) {
    const std::string source = item["source"];
    const auto render_it = [&] { return ChatTemplate(source, "test.jinja").render(all["messages"], options); };
    SCOPED_TRACE(source);
    if (item.contains("error")) {
      EXPECT_THROW(render_it(), Error) << item["error"];
      continue;
    }
    try {
      EXPECT_EQ(render_it(), item["text"]);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(ChatTemplate, IsAlwaysToldTheSameDay) {
  EXPECT_EQ(render("{{ strftime_now('%A %d %b %Y %H:%M:%S.%f%z') }}"), "Friday 26 Jul 2024 00:00:00.000000");
}

TEST(ChatTemplate, KeepsTheMessageOfARefusal) {
  const Error error = thrown_by([] { render("{{ raise_exception('Roles must alternate: ' + messages[0].role) }}"); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error, says("test.jinja", "Roles must alternate: user"));
}

TEST(ChatTemplate, NamesTheLineOfASyntaxError) {
  const Error error = thrown_by([] { ChatTemplate("one\ntwo {{ x\n{% if %}\n", "m/chat_template.jinja"); });
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_THAT(error, says("m/chat_template.jinja", "line 3"));
}

TEST(ChatTemplate, NamesTheLineWhereItFails) {
  const Error error = thrown_by([] { render("\n\n{{ messages[0].nothing.at_all }}"); });
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_THAT(error, says("test.jinja", "line 3"));
}

TEST(ChatTemplate, HashIsOfTheSource) {
  EXPECT_EQ(ChatTemplate("", "a").hash(), "99aa06d3014798d86001c324468d497f");  // XXH3-128 of nothing
  EXPECT_NE(ChatTemplate("x\n", "a").hash(), ChatTemplate("x", "a").hash());
  EXPECT_EQ(ChatTemplate("x\n", "a").source(), "x\n");
}

TEST(ChatTemplate, TakesNoVariableForAnArgument) {
  for (const char* name : {"messages", "tools", "add_generation_prompt"}) {
    const Error error = thrown_by([&] { render("x", {{name, true}}); });
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error, says(name));
  }
}

}  // namespace
}  // namespace moelora::text
