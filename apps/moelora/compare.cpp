// moelora compare SPEC.yaml
#include <cstdio>
#include <memory>

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
  bool report_only = false;
  std::string code;
};

/// The other processes of --jobs, each on its own cores; this one keeps the first share of them.
std::vector<std::unique_ptr<ChildProcess>> start_others(const CompareFlags& own, const config::CompareSpec& spec) {
  std::vector<std::unique_ptr<ChildProcess>> others;
  const std::vector<std::vector<int>> shares = divide_cores(own.jobs);
  if (static_cast<int64_t>(shares.size()) < own.jobs) {
    throw Error(ErrorKind::kUsage, {.where = "--jobs",
                                    .problem = "more runs at once than cores",
                                    .found = std::to_string(own.jobs),
                                    .expected = "at most " + std::to_string(shares.size())});
  }
  std::filesystem::create_directories(spec.output);
  for (size_t job = 1; job < shares.size(); ++job) {
    others.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{"compare", own.spec}, shares[job],
        std::filesystem::path(spec.output) / ("job-" + std::to_string(job + 1) + ".log")));
  }
  if (!others.empty()) run_on_cores(shares.front());
  return others;
}

void run_compare(const CompareFlags& own, const GlobalFlags& flags) {
  install_interrupt_handlers();
  const config::CompareSpec spec = config::load_compare_spec(own.spec);
  const std::vector<std::unique_ptr<ChildProcess>> others = start_others(own, spec);
  const compare::Comparison comparison = compare::run_comparison(
      spec, {.quiet = flags.quiet, .report_only = own.report_only, .code = own.code, .dev_scores = dev_scores()});
  const std::string report = compare::write_comparison(comparison, spec.output);
  std::printf("%s\n%lld runs computed, %lld known; %s/report.{md,json,html}\n", report.c_str(),
              static_cast<long long>(comparison.computed), static_cast<long long>(comparison.known),
              spec.output.c_str());
}

}  // namespace

void add_compare(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb =
      add_verb(app, "compare", "methods beside each other: runs what has no result yet, and reports with error bars",
               "moelora compare compare.yaml --jobs 2      (again after an interruption: it goes on)");
  const auto own = std::make_shared<CompareFlags>();
  verb->add_option("spec", own->spec, "what is compared (docs/compare.md)")->required();
  verb->add_option("--jobs", own->jobs, "runs at once, each on its share of the cores")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI::Option* report_only =
      verb->add_flag("--report-only", own->report_only, "report on the results that there are, and compute nothing")
          ->excludes("--jobs");
  verb->add_option("--code", own->code,
                   "of the results that another version's sources made: their hash or its beginning, as the results "
                   "have it")
      ->needs(report_only);
  verb->callback([own, &flags] { run_compare(*own, flags); });
}

}  // namespace moelora::app
