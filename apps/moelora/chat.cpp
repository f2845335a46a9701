// moelora chat RUN --task T
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base_flags.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/suggest.h"
#include "engine_flags.h"
#include "generate/conversation.h"
#include "line_input.h"
#include "sampling_flags.h"
#include "train/open_run.h"
#include "verbs.h"

namespace moelora::app {
namespace {

const std::vector<std::string> kCommands = {"/task", "/reset", "/help", "/exit"};
constexpr const char* kHelp =
    "/task NAME  another task answers from now on    /reset  forget what was said\n"
    "/help       this                                /exit   leave (or Ctrl-D); Ctrl-C stops an answer\n";

struct ChatFlags {
  std::string run;
  std::string task;
  std::string system;
  BaseFlags base;
  generate::EngineOptions engine{.batch_size = 1};
  generate::Wish wish;
};

class Chat {
 public:
  Chat(const train::OpenRun& run, generate::Conversation& conversation)
      : run_(run), conversation_(conversation), person_(::isatty(STDIN_FILENO) != 0) {}

  void talk() {
    if (person_) std::printf("%s", kHelp);
    std::string line;
    while (next_line(line)) {
      if (line.empty()) continue;
      try {
        if (line[0] != '/') {
          answer(line);
        } else if (!command(line)) {
          return;
        }
      } catch (const Error& error) {
        if (!person_ || (error.kind() != ErrorKind::kLimit && error.kind() != ErrorKind::kUsage)) throw;
        std::fprintf(stderr, "%s\n", error.what());
      }
    }
  }

 private:
  bool next_line(std::string& line) {
    while (true) {
      if (person_) {
        std::printf("%s> ", conversation_.task().c_str());
        std::fflush(stdout);
      }
      switch (input_.read(line)) {
        case LineInput::Outcome::kLine:
          return true;
        case LineInput::Outcome::kEnd:
          if (person_) std::printf("\n");
          return false;
        case LineInput::Outcome::kSignal:
          if (interrupt_signal() != SIGINT) throw_if_interrupted();
          clear_interrupt();
          if (person_) std::printf("\n(/exit leaves)\n");
      }
    }
  }

  void answer(const std::string& text) {
    const generate::Reply reply = conversation_.say(
        text,
        [](const std::string& piece) {
          std::printf("%s", piece.c_str());
          std::fflush(stdout);
        },
        [] { return !interrupt_requested(); });
    std::printf("\n");
    std::fflush(stdout);
    if (reply.interrupted) {
      if (interrupt_signal() != SIGINT) throw_if_interrupted();
      clear_interrupt();
      log_info("the answer was stopped");
      return;
    }
    if (reply.out_of_room) log_warn("the answer was cut off by max_new_tokens or the end of the context");
    log_debug(std::to_string(reply.prompt_tokens) + " tokens so far, " + std::to_string(reply.cached_tokens) +
              " of them not read again");
  }

  /// False: the chat is over.
  bool command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const size_t begin = line.find_first_not_of(' ', name.size());
    const std::string rest = begin == std::string::npos ? "" : line.substr(begin);
    if (name == "/exit") return false;
    if (name == "/help") {
      std::printf("%s", kHelp);
      std::fflush(stdout);
    } else if (name == "/reset") {
      conversation_.reset();
    } else if (name == "/task") {
      run_.task_index(rest);
      conversation_.set_task(rest);
    } else {
      throw Error(ErrorKind::kUsage, {.where = "chat",
                                      .problem = "unknown command `" + name + "`",
                                      .expected = "/task NAME, /reset, /help or /exit; a space before a text that "
                                                  "begins with /",
                                      .hint = did_you_mean(name, kCommands)});
    }
    return true;
  }

  const train::OpenRun& run_;
  generate::Conversation& conversation_;
  LineInput input_;
  bool person_;
};

void run_chat(const CLI::App& verb, const ChatFlags& own) {
  check_sampling_flags(verb, own.wish);
  const train::OpenRun run = train::open_run(own.run, own.base.options());
  run.task_index(own.task);
  install_interrupt_handlers();
  const generate::RowRequests requests(run.model, *run.renderer, run.saved.config, run.saved.task_names(), own.wish);
  const std::span<const int64_t> stop_ids = run.renderer->stop_ids();
  generate::EngineOptions engine = own.engine;
  engine.stop_ids = {stop_ids.begin(), stop_ids.end()};
  generate::Conversation conversation(run.model, *run.renderer, requests,
                                      {.task = own.task, .system = own.system, .engine = engine});
  Chat(run, conversation).talk();
}

}  // namespace

void add_chat(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "chat", "talk with a run, as one task or several in turn",
                            "moelora chat runs/medical --task dialogue --temperature 0.7");
  const auto own = std::make_shared<ChatFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--task", own->task, "the task whose adapter answers; /task NAME changes it")->required();
  verb->add_option("--system", own->system, "system message; default: as the run was trained");
  add_sampling_flags(*verb, own->wish);
  add_cache_flags(*verb, own->engine);
  add_base_flags(*verb, own->base);
  add_quantization_flag(*verb, own->base);
  verb->callback([own, verb] { run_chat(*verb, *own); });
}

}  // namespace moelora::app
