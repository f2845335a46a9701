// moelora generate RUN --task T
#include <cstdio>
#include <iostream>
#include <memory>

#include "core/error.h"
#include "core/interrupt.h"
#include "generate/engine.h"
#include "train/open_run.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct GenerateFlags {
  std::string run;
  std::string task;
  std::vector<std::string> prompts;
  std::string base;
  int64_t max_new_tokens = 0;
};

/// The prompts given with --prompt, else one a line from standard input.
std::vector<std::string> read_prompts(const GenerateFlags& own) {
  if (!own.prompts.empty()) return own.prompts;
  std::vector<std::string> prompts;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) prompts.push_back(line);
  }
  if (prompts.empty()) {
    throw Error(ErrorKind::kUsage, {.where = "generate",
                                    .problem = "no prompt",
                                    .expected = "--prompt TEXT, or one prompt a line on standard input"});
  }
  return prompts;
}

void run_generate(const GenerateFlags& own) {
  install_interrupt_handlers();
  const train::OpenRun run = train::open_run(own.run, {.base = own.base});
  const int64_t index = run.task_index(own.task);
  const int64_t task = run.model.adapters ? index : 0;  // a model without adapters is one for all tasks
  const config::RunConfig& config = run.saved.config;
  const auto settings = config.tasks.find(own.task);
  const config::TaskConfig task_config = settings == config.tasks.end() ? config::TaskConfig{} : settings->second;
  const int64_t limit =
      own.max_new_tokens > 0 ? own.max_new_tokens : task_config.max_new_tokens.value_or(config.eval.max_new_tokens);

  const std::vector<std::string> prompts = read_prompts(own);
  std::vector<generate::Request> requests;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<data::Message> messages = {{"user", prompts[i]}};
    requests.push_back({.id = static_cast<int64_t>(i),
                        .task = task,
                        .prompt = run.renderer->prompt_ids(messages, task_config.prompt.value_or("")),
                        .max_new_tokens = limit});
  }
  const auto stop_ids = run.renderer->stop_ids();
  generate::Engine engine(run.model,
                          {.batch_size = config.eval.batch_size, .stop_ids = {stop_ids.begin(), stop_ids.end()}});
  std::vector<std::string> answers(prompts.size());
  engine.run_all(std::move(requests), [&](generate::Completion completion) {
    answers[completion.id] = run.renderer->tokenizer().decode(completion.tokens, {.skip_special_tokens = true});
  });
  for (const std::string& answer : answers) std::printf("%s\n", answer.c_str());
}

}  // namespace

void add_generate(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "generate", "prompt(s) in, text out, as one task",
                            "moelora generate runs/medical --task report --prompt 'Summarise: …'");
  const auto own = std::make_shared<GenerateFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--task", own->task, "the task whose adapter answers")->required();
  verb->add_option("--prompt", own->prompts, "a prompt (may be repeated); else one a line on standard input");
  verb->add_option("--max-new-tokens", own->max_new_tokens, "default: the task's, else eval.max_new_tokens")
      ->check(CLI::Range(1, 1 << 30));
  verb->add_option("--base", own->base, "the base model, where it isn't where it was");
  verb->callback([own] { run_generate(*own); });
}

}  // namespace moelora::app
