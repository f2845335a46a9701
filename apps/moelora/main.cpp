// The program: parses the command line, calls a verb, and turns every error into one message and an exit code by its
// kind.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/suggest.h"
#include "core/utf8.h"
#include "kernels/allocator.h"
#include "torch_error.h"
#include "verbs.h"

namespace moelora::app {
namespace {

void print_error(const Error& error) {
  const ErrorDetails& d = error.details();
  std::fprintf(stderr, "error: %s%s%s\n", d.where.c_str(), d.where.empty() ? "" : ": ", d.problem.c_str());
  if (!d.found.empty()) std::fprintf(stderr, "  found     %s\n", d.found.c_str());
  if (!d.expected.empty()) std::fprintf(stderr, "  expected  %s\n", d.expected.c_str());
  if (!d.hint.empty()) std::fprintf(stderr, "  hint      %s\n", d.hint.c_str());
}

/// The first argument that no verb given knows, with the nearest flag.
Error first_unknown_argument(const CLI::App& app, int argc, char** argv) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  std::string unknown = rest.empty() ? "" : rest.front();
  for (int i = argc - 1; i > 0; --i) {  // CLI11 gives them in another order than they were written in
    if (std::ranges::find(rest, argv[i]) != rest.end()) unknown = argv[i];
  }
  return unknown_argument(*verb, unknown, "the flags of `moelora " + verb->get_name() + " --help`");
}

/// CLI11's own message, and the nearest verb where the first word is none.
int print_usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  const std::string first = argc > 1 ? argv[1] : "";
  if (argc > 1 && first[0] != '-' && std::ranges::find(verbs, first) == verbs.end()) {
    print_error(Error(ErrorKind::kUsage, {.problem = "unknown verb `" + first + "`",
                                          .expected = list_names(verbs),
                                          .hint = did_you_mean(first, verbs)}));
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    print_error(first_unknown_argument(app, argc, argv));
  } else {
    print_error(Error(ErrorKind::kUsage, {.problem = error.what(), .hint = "see `moelora --help`"}));
  }
  return static_cast<int>(ErrorKind::kUsage);
}

/// Names and texts end up in JSON, which is UTF-8: better refused now than when the result is written.
void check_arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (!first_invalid_utf8(argv[i])) continue;
    throw Error(ErrorKind::kUsage,
                {.where = "command line", .problem = "argument " + std::to_string(i) + " is not valid UTF-8"});
  }
}

/// The verb, or the one below it, whose flags the arguments are.
const CLI::App& verb_of(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* verb = &app;
  for (const std::string& argument : arguments) {
    const auto below = verb->get_subcommands([&](const CLI::App* one) { return one->get_name() == argument; });
    if (!below.empty()) verb = below.front();
  }
  return *verb;
}

/// CLI11 takes `--prompt=` for a flag whose value is the next argument, whatever that is: its value is empty.
std::vector<std::string> with_empty_values(const CLI::App& app, int argc, char** argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  const CLI::App& verb = verb_of(app, given);
  std::vector<std::string> arguments;
  for (const std::string& argument : given) {
    const std::string name = argument.substr(0, argument.size() - (argument.ends_with('=') ? 1 : 0));
    const bool is_empty = name != argument && name.starts_with("--") && verb.get_option_no_throw(name) != nullptr;
    arguments.push_back(is_empty ? name : argument);
    if (is_empty) arguments.emplace_back();
  }
  return arguments;
}

int out_of_memory() {
  print_error(Error(ErrorKind::kLimit,
                    {.problem = "out of memory",
                     .hint = "in training lower train.tokens_per_batch (`moelora plan` estimates memory), in "
                             "generation --batch-size, --tokens-per-step, --cache-tokens or "
                             "--prefix-cache-tokens"}));
  return static_cast<int>(ErrorKind::kLimit);
}

/// Before the verb or after it, and after the one below it.
void add_global_flags(CLI::App& app, GlobalFlags& flags) {
  app.add_flag("--quiet,-q", flags.quiet, "only warnings and errors, no progress");
  app.add_flag("--verbose,-v", flags.verbose, "more detail");
  for (CLI::App* below : app.get_subcommands(nullptr)) add_global_flags(*below, flags);
}

int run(int argc, char** argv) {
  CLI::App app(
      "moelora: fine-tunes one language model for many tasks at once (MOELoRA), and gives each task back as a LoRA",
      "moelora");
  app.require_subcommand(1);
  app.set_version_flag("--version", "moelora " MOELORA_VERSION);
  app.footer(
      "Exit codes: 0 done, 1 internal, 2 usage, 3 configuration, 4 data, 5 model, 6 numeric, 7 disk, 8 lost peer, 9 "
      "limit,\n"
      "75 interrupted (of `train`: a checkpoint was written, go on with --resume).");
  GlobalFlags flags;
  add_global_flags(app, flags);
  app.parse_complete_callback([&flags] {
    if (flags.quiet) set_log_level(LogLevel::kWarn);
    if (flags.verbose) set_log_level(LogLevel::kDebug);
  });
  for (const auto add : {add_train, add_eval, add_export, add_compare, add_adapt, add_generate, add_chat, add_gates,
                         add_import, add_data, add_validate, add_plan, add_doctor, add_demo, add_bench}) {
    add(app, flags);
  }
  for (CLI::App* verb : app.get_subcommands(nullptr)) add_global_flags(*verb, flags);
  try {
    check_arguments(argc, argv);
    std::vector<std::string> arguments = with_empty_values(app, argc, argv);
    std::ranges::reverse(arguments);  // as CLI11 wants them
    app.parse(std::move(arguments));
    check_output();
    return 0;
  } catch (const CLI::ParseError& error) {
    return print_usage_error(app, error, argc, argv);
  } catch (const Error& error) {
    print_error(error);
    return error.exit_code();
  } catch (const ErrorList& list) {
    for (const Error& error : list.errors()) print_error(error);
    std::fprintf(stderr, "%zu error%s\n", list.errors().size(), list.errors().size() == 1 ? "" : "s");
    return list.exit_code();
  } catch (const std::filesystem::filesystem_error& error) {  // a path that may not be looked at
    print_error(Error(ErrorKind::kIo, {.where = error.path1().string(), .problem = error.code().message()}));
    return static_cast<int>(ErrorKind::kIo);
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::exception& error) {
    const std::optional<TorchError> torch = torch_error(error);
    if (torch && torch->out_of_memory) return out_of_memory();
    print_error(Error(ErrorKind::kInternal, {.problem = torch ? torch->message : error.what(),
                                             .hint = "this is a bug in moelora: please report it"}));
    return static_cast<int>(ErrorKind::kInternal);
  }
}

}  // namespace
}  // namespace moelora::app

int main(int argc, char** argv) {
  moelora::kernels::install_caching_allocator();
  return moelora::app::run(argc, argv);
}
