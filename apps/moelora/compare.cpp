// moelora compare SPEC.yaml
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "compare/report.h"
#include "compare/runner.h"
#include "core/child_process.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "dev_scores.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct CompareFlags {
  std::string spec;
  int64_t jobs = 1;
  int64_t one_of = 1;  // what the others of --jobs are told
  bool report_only = false;
  std::string code;
};

/// The other processes of --jobs, each on its own cores; this one keeps the first share of them.
std::vector<std::unique_ptr<ChildProcess>> start_others(const CompareFlags& own, const config::CompareSpec& spec,
                                                        const std::vector<std::string>& overrides) {
  std::vector<std::unique_ptr<ChildProcess>> others;
  const std::vector<std::vector<int>> shares = divide_cores(own.jobs);
  if (static_cast<int64_t>(shares.size()) < own.jobs) {
    throw Error(ErrorKind::kUsage, {.where = "--jobs",
                                    .problem = "more runs at once than cores",
                                    .found = std::to_string(own.jobs),
                                    .expected = "at most " + std::to_string(shares.size())});
  }
  std::filesystem::create_directories(spec.output);
  std::vector<std::string> arguments = {"compare", own.spec, "--one-of", std::to_string(own.jobs)};
  for (const std::string& text : overrides) arguments.push_back("--" + text);
  for (size_t job = 1; job < shares.size(); ++job) {
    others.push_back(std::make_unique<ChildProcess>(
        arguments, shares[job], std::filesystem::path(spec.output) / ("job-" + std::to_string(job + 1) + ".log")));
  }
  if (!others.empty()) run_on_cores(shares.front());
  return others;
}

/// Waits for the other processes, which see that all runs are done as this one has; an error for those that ended with
/// one, but for those that were interrupted.
void check_others(const std::vector<std::unique_ptr<ChildProcess>>& others) {
  std::vector<Error> errors;
  for (const std::unique_ptr<ChildProcess>& other : others) {
    while (other->running()) {
      throw_if_interrupted();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    const int code = other->exit_code();
    if (code == 0 || code == static_cast<int>(ErrorKind::kInterrupted) || code == 128 + SIGINT || code == 128 + SIGTERM)
      continue;
    errors.emplace_back(static_cast<ErrorKind>(code),  // the exit code of a signal too, 137 say, is this one's
                        ErrorDetails{.where = other->log().string(),
                                     .problem = "a process of --jobs failed; this one has computed what it left",
                                     .found = "exit code " + std::to_string(code)});
  }
  if (!errors.empty()) throw ErrorList(std::move(errors));
}

void run_compare(const CompareFlags& own, const std::vector<std::string>& overrides, const GlobalFlags& flags) {
  install_interrupt_handlers();
  const config::CompareSpec spec = config::load_compare_spec(own.spec, overrides);
  const std::vector<std::unique_ptr<ChildProcess>> others = start_others(own, spec, overrides);
  const compare::Comparison comparison = compare::run_comparison(spec, {.quiet = flags.quiet,
                                                                        .processes = std::max(own.jobs, own.one_of),
                                                                        .report_only = own.report_only,
                                                                        .code = own.code,
                                                                        .dev_scores = dev_scores()});
  const std::string report = compare::write_comparison(comparison, spec.output);
  std::printf("%s\n%lld runs computed, %lld known; %s/report.{md,json,html}\n", report.c_str(),
              static_cast<long long>(comparison.computed), static_cast<long long>(comparison.known),
              spec.output.c_str());
  std::fflush(stdout);
  check_others(others);
}

}  // namespace

void add_compare(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb = add_verb(
      app, "compare", "methods beside each other: runs what has no result yet, and reports with error bars",
      "moelora compare compare.yaml --jobs 2      (again after an interruption: it goes on)\n"
      "  moelora compare compare.yaml --seeds=1 --test_rows=20 --shared.train.max_steps=50 --output=runs/quick "
      "--results=runs/quick/results\n"
      "Keys of the file as --KEY=VALUE, and as --shared.KEY=VALUE what all methods change of the configuration.");
  const auto own = std::make_shared<CompareFlags>();
  verb->add_option("spec", own->spec, "what is compared (docs/compare.md)")->required();
  verb->add_option("--jobs", own->jobs, "runs at once, each on its share of the cores")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb->add_option("--one-of", own->one_of, "so many processes share the memory")->group("");  // not for people
  CLI::Option* report_only =
      verb->add_flag("--report-only", own->report_only, "report on the results that there are, and compute nothing")
          ->excludes("--jobs");
  verb->add_option("--code", own->code,
                   "of the results that another version's sources made: their hash or its beginning, as the results "
                   "have it")
      ->needs(report_only);
  verb->allow_extras();
  verb->callback([verb, own, &flags] {
    run_compare(*own, config_overrides(*verb, "a key of the comparison like --shared.train.max_steps=8"), flags);
  });
}

}  // namespace moelora::app
