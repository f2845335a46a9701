// moelora generate RUN --task T
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "adapters/fingerprint.h"
#include "base_flags.h"
#include "config/enum_names.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/interrupt.h"
#include "core/resumable_lines.h"
#include "data/row_file.h"
#include "engine_flags.h"
#include "generate/answer_json.h"
#include "generate/answer_rows.h"
#include "generate/row_requests.h"
#include "line_input.h"
#include "sampling_flags.h"
#include "train/open_run.h"
#include "train/progress.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct GenerateFlags {
  std::string run;
  std::string task;
  std::vector<std::string> prompts;
  std::string data;
  std::string to;
  BaseFlags base;
  generate::EngineOptions engine{.batch_size = 0, .tokens_per_step = 0};  // 0: the run's, and 2048
  bool json = false;
  int64_t samples = 1;
  generate::Wish wish;
};

struct Prompts {
  std::vector<data::Row> rows;
  std::string hash;  // of the file
};

data::Row prompt_row(const GenerateFlags& own, const std::string& text, const std::string& from, int64_t line) {
  return {
      .task = own.task, .messages = {{"user", text}}, .file = std::make_shared<const std::string>(from), .line = line};
}

/// The rows of --data, else the prompts given with --prompt, else one a line from standard input.
Prompts read_prompts(const GenerateFlags& own) {
  Prompts prompts;
  if (!own.data.empty()) {
    data::RowFile file = data::read_row_file(own.data, {.answers = data::Answers::kOptional});
    prompts = {std::move(file.rows), std::move(file.hash)};
    for (data::Row& row : prompts.rows) {
      if (!own.task.empty()) row.task = own.task;
    }
    return prompts;
  }
  int64_t line = 0;
  for (const std::string& text : own.prompts) prompts.rows.push_back(prompt_row(own, text, "--prompt", ++line));
  if (!own.prompts.empty()) return prompts;
  LineInput input;
  std::string text;
  for (auto outcome = input.read(text); outcome != LineInput::Outcome::kEnd; outcome = input.read(text)) {
    throw_if_interrupted();
    ++line;
    if (!text.empty()) prompts.rows.push_back(prompt_row(own, text, "standard input", line));
  }
  if (prompts.rows.empty()) {
    throw Error(ErrorKind::kUsage, {.where = "generate",
                                    .problem = "no prompt",
                                    .expected = "--prompt TEXT, --data FILE, or one prompt a line on standard input"});
  }
  return prompts;
}

void check_flags(const CLI::App& verb, const GenerateFlags& own) {
  const auto fail = [](const char* where, const char* problem, const char* expected) {
    throw Error(ErrorKind::kUsage, {.where = where, .problem = problem, .expected = expected});
  };
  check_sampling_flags(verb, own.wish);
  if (own.task.empty() && own.data.empty()) fail("--task", "no task is named", "the task whose adapter answers");
  if (!own.data.empty() && !own.prompts.empty()) fail("--prompt", "prompts and --data", "one of them");
  if (!own.to.empty() && own.data.empty()) fail("--to", "answers of a file alone go to a file", "--data beside it");
  if (own.wish.logprobs >= 0 && !own.json && own.to.empty())
    fail("--logprobs", "log-probabilities are part of the JSON alone", "--json, or --data with --to");
  if (own.samples > 1 && own.wish.sampling.temperature == 0)
    fail("--samples", "without a temperature all samples are the same", "--temperature above 0 beside it");
  if (!own.wish.choose) return;
  for (const char* flag :
       {"--temperature", "--repetition-penalty", "--samples", "--stop", "--max-new-tokens", "--logprobs"}) {
    if (verb.count(flag) > 0) fail(flag, "an answer that is chosen from labels isn't written", "--labels without it");
  }
}

/// Of everything that decides the answers.
std::string identity_of(const GenerateFlags& own, const train::OpenRun& run, const Prompts& prompts,
                        const std::vector<generate::TextRequest>& requests) {
  const generate::Sampling& s = own.wish.sampling;
  Hasher asked;  // what the run's configuration decides, too
  for (const generate::TextRequest& one : requests) {
    nlohmann::json text = {one.request.task, one.request.prompt, one.request.max_new_tokens, one.stop, one.lead};
    for (const generate::Label& label : one.labels) text.push_back(label.text);
    asked.update(text.dump());
  }
  const nlohmann::json all = {prompts.hash,
                              asked.hex(),
                              own.task,
                              run.base_hash,
                              config::name_of(run.saved.config.quantization),
                              run.model.adapters ? adapters::fingerprint(*run.model.adapters) : "",
                              s.temperature,
                              s.top_k,
                              s.top_p,
                              s.min_p,
                              s.repetition_penalty,
                              s.seed,
                              own.samples,
                              own.wish.max_new_tokens,
                              own.wish.logprobs,
                              own.wish.stop,
                              own.wish.choose,
                              own.wish.labels};
  return hash_hex(all.dump()).substr(0, 16);
}

void print_text(const generate::TextRequest& request, const generate::TextAnswer& answer) {
  std::fwrite(answer.text.data(), 1, answer.text.size(), stdout);  // an answer may hold any character, NUL too
  for (size_t i = 0; i < answer.label_probabilities.size(); ++i) {
    std::printf("%s%s %.6f", i == 0 ? "\t" : ", ", request.labels[i].text.c_str(), answer.label_probabilities[i]);
  }
  std::printf("\n");
  std::fflush(stdout);
}

void run_generate(const CLI::App& verb, GenerateFlags& own, const GlobalFlags& flags) {
  install_interrupt_handlers();
  own.wish.choose = verb.count("--labels") > 0;
  if (own.wish.labels == std::vector<std::string>{""}) own.wish.labels.clear();  // CLI11's word for no values
  check_flags(verb, own);
  const Prompts prompts = read_prompts(own);
  const train::OpenRun run = train::open_run(own.run, own.base.options());
  if (!own.task.empty()) run.task_index(own.task);
  const config::RunConfig& config = run.saved.config;

  const bool streamed = prompts.rows.size() == 1 && own.samples == 1 && !own.json && own.to.empty() && !own.wish.choose;
  const std::span<const int64_t> stop_ids = run.renderer->stop_ids();
  generate::EngineOptions bounds = own.engine;
  if (bounds.batch_size == 0) bounds.batch_size = config.eval.batch_size;
  if (bounds.tokens_per_step == 0) bounds.tokens_per_step = std::max<int64_t>(2048, bounds.batch_size);
  bounds.stop_ids = {stop_ids.begin(), stop_ids.end()};
  generate::TextEngine engine(run.model, run.renderer->tokenizer(), bounds, [&](int64_t, const std::string& piece) {
    if (!streamed) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  });
  const generate::RowRequests maker(run.model, *run.renderer, config, run.saved.task_names(), own.wish);
  std::vector<generate::TextRequest> requests;
  for (const data::Row& row : prompts.rows) {  // whatever can be wrong is found before the first answer
    requests.push_back(maker.of(row));
    engine.check(requests.back());
  }

  std::optional<ResumableLines> file;
  if (!own.to.empty()) file.emplace(own.to, identity_of(own, run, prompts, requests));
  const int64_t all = std::ssize(requests) * own.samples, first = file ? file->lines() : 0;
  std::optional<train::Progress> progress;
  if (file) progress.emplace("generating", all, first, flags.quiet);
  generate::answer_rows(
      engine, requests, {.samples = own.samples, .first = first, .ahead = 4 * bounds.batch_size},
      [&](const generate::RowAnswer& answer) {
        const generate::TextRequest& request = requests[answer.row];
        const auto json = [&] {
          return generate::answer_json(prompts.rows[answer.row], request, answer, run.renderer->tokenizer()).dump();
        };
        if (file) {
          file->append(json());
          progress->update(file->lines(), "answers");
        } else if (own.json) {
          std::cout << json() << std::endl;
          check_output();
        } else if (streamed) {
          std::printf("\n");
        } else {
          print_text(request, answer.answer);
        }
      });
  progress.reset();
  if (!file) return;
  file->finish();
  std::printf("%lld answers: %s\n", static_cast<long long>(all), own.to.c_str());
}

}  // namespace

void add_generate(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb = add_verb(app, "generate", "prompts in, text out: one or many, as one task or each as its own",
                            "moelora generate runs/medical --task report --prompt 'Summarise: …'\n"
                            "  moelora generate runs/medical --data in.jsonl --to out.jsonl\n"
                            "  moelora generate runs/medical --task intent --labels yes no unclear --prompt '…'");
  const auto own = std::make_shared<GenerateFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--task", own->task, "the task whose adapter answers; with --data: else each row's own");
  verb->add_option("--prompt", own->prompts, "a prompt (may be repeated); else one per line on standard input")
      ->allow_extra_args(false);  // with them CLI11 would read "[1, 2]" as two
  verb->add_option("--data", own->data,
                   "prompts from a file of rows, in any format that training reads; no answers needed");
  verb->add_option("--to", own->to,
                   "file for the answers of --data, one JSON line each; the same command goes on where it stopped");
  add_sampling_flags(*verb, own->wish);
  verb->add_option("--samples", own->samples, "so many answers to each prompt")->check(CLI::Range(1, 1 << 20));
  verb->add_option("--logprobs", own->wish.logprobs,
                   "log-probabilities of the tokens written, and of so many best ones in the place of each; in JSON")
      ->expected(0, 1)
      ->default_str("0")
      ->check(CLI::Range(0, 1 << 20));
  verb->add_option("--labels", own->wish.labels,
                   "the most probable of these is the answer, with all probabilities; without values: of the row's "
                   "answer_choices, else of the task's labels")
      ->expected(0, 1 << 20)
      ->allow_extra_args(false);
  verb->add_flag("--json", own->json, "print a line of JSON for each answer");
  verb->add_option("--batch-size", own->engine.batch_size, "answers written together; default: eval.batch_size")
      ->check(CLI::Range(1, 1 << 16));
  verb->add_option("--tokens-per-step", own->engine.tokens_per_step,
                   "tokens computed at once, so that longer prompts are read in pieces; default: 2048")
      ->check(CLI::Range(1, 1 << 20));
  add_cache_flags(*verb, own->engine);
  add_base_flags(*verb, own->base);
  add_quantization_flag(*verb, own->base);
  verb->callback([own, verb, &flags] { run_generate(*verb, *own, flags); });
}

}  // namespace moelora::app
