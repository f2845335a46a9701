// moelora demo: the bundled base and the ICD-10-CM tasks, from training to an exported adapter. What is done already is
// kept, so an interrupted demo goes on where it stopped.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "config/load.h"
#include "core/child_process.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "dev_scores.h"
#include "eval/evaluator.h"
#include "io/json_file.h"
#include "train/export.h"
#include "train/open_run.h"
#include "train/progress.h"
#include "train/trainer.h"
#include "verbs.h"

namespace moelora::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct DemoFlags {
  std::string assets = "examples/icd10";
  std::string output = "runs/demo";
  int64_t rows = 0;
  bool long_form = false;
  std::string only;  // of the process beside the demo's: the one method it trains and scores
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Demo {
 public:
  Demo(const DemoFlags& own, const GlobalFlags& flags) : own_(own), flags_(flags), output_(own.output) {
    if (!fs::exists(fs::path(own.assets) / "moelora.yaml")) {
      throw Error(ErrorKind::kUsage, {.where = own.assets,
                                      .problem = "the demo's files aren't there",
                                      .expected = "the project's examples/icd10",
                                      .hint = "run it in the project's directory, or give --assets"});
    }
    summary_path_ = output_ / "summary.json";
    fs::create_directories(output_);
  }

  void run() {
    if (!own_.only.empty()) return train_and_score(own_.only);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<int> all_cores = divide_cores(1).front();
    std::vector<std::string> methods = {"lora", "moelora"};
    {
      const std::vector<std::vector<int>> cores = divide_cores(2);
      std::unique_ptr<ChildProcess> beside;
      if (cores.size() == 2 && !fs::exists(scores_path("lora"))) {
        beside = start_beside("lora", cores[1]);
        run_on_cores(cores[0]);
        worked_ = true;
      }
      train_and_score("moelora");
      evaluate("base", "moelora", /*without_adapter=*/true);
      if (beside) wait_for(*beside);
      run_on_cores(all_cores);
    }
    train_and_score("lora");  // what the other process did is there; what it couldn't do fails here once more
    if (own_.long_form) train_and_score(methods.emplace_back("full"));
    add_time(seconds_since(start));
    export_one();
    finish(methods);
  }

 private:
  void train_and_score(const std::string& method) {
    train_method(method);
    evaluate(method, method, /*without_adapter=*/false);
  }

  /// Two runs of one thread each do about 1.8 times the work of one run of two threads: the model is small.
  std::unique_ptr<ChildProcess> start_beside(const std::string& method, const std::vector<int>& cores) const {
    std::vector<std::string> arguments = {
        "demo",          "--output", own_.output, "--assets", own_.assets, "--rows", std::to_string(own_.rows),
        "--only-method", method};
    auto beside = std::make_unique<ChildProcess>(arguments, cores, output_ / (method + ".log"));
    std::printf("── fine-tuning with %s beside it: %s\n", method.c_str(), beside->log().c_str());
    std::fflush(stdout);
    return beside;
  }

  /// Shows how far the other process is, until it ends.
  void wait_for(ChildProcess& beside) const {
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const auto interval = std::chrono::seconds(terminal ? 1 : 30);
    auto shown = std::chrono::steady_clock::now() - interval;
    while (beside.running()) {
      throw_if_interrupted();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (flags_.quiet || std::chrono::steady_clock::now() - shown < interval) continue;
      shown = std::chrono::steady_clock::now();
      std::fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", ("lora: " + beside.last_line()).c_str());
    }
    if (terminal && !flags_.quiet) std::fputs("\r\033[K", stderr);
  }

  /// The config of a method, written into the demo's directory.
  config::RunConfig config_of(const std::string& method) const {
    return config::load_config(fs::path(own_.assets) / (method + ".yaml"), {"output=" + (output_ / method).string()});
  }

  /// The identity of what is trained and scored: base, tokenizer, template, data, configuration. A record of another is
  /// never used.
  nlohmann::json record_of(const fs::path& path, const nlohmann::json& identity) const {
    nlohmann::json record = io::read_json_object(path);
    if (record.value("identity", nlohmann::json()) == identity) return record;
    throw Error(ErrorKind::kConfig,
                {.where = path.string(),
                 .problem = "the demo there was trained with another configuration, data, base or version",
                 .hint = "give another directory with --output"});
  }

  void train_method(const std::string& method) {
    const fs::path path = output_ / (method + "-training.json");
    train::RunSetup setup = train::prepare_data(config_of(method));
    train::load_model(setup);
    identity_[method] = setup.identity.to_json();
    if (!fs::exists(path)) {
      worked_ = true;
      std::printf("── fine-tuning with %s\n", method.c_str());
      train::TrainOptions options{.resume = fs::exists(output_ / method / "config.yaml"), .quiet = flags_.quiet};
      if (setup.config.eval.generate) options.dev_scores = dev_scores();
      const train::TrainResult result = train::train(setup, options);
      int64_t parameters = 0;
      if (setup.model.adapters) {
        parameters = setup.model.adapters->parameter_count();
      } else {
        for (const nn::WeightPtr& weight : setup.model.decoder->weights()) parameters += weight->stored().numel();
      }
      write_file_atomically(
          path,
          ordered_json{{"identity", identity_[method]},
                       {"trainable_parameters", parameters},
                       {"steps", result.steps},
                       {"best_step", result.best_step},
                       {"tokens_per_s", result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0.0},
                       {"seconds", result.run_seconds}}
                  .dump(2) +
              "\n");
    }
    training_[method] = record_of(path, identity_[method]);
    std::printf("%s: %s trainable parameters, %.0f tokens/s, %s\n", method.c_str(),
                training_[method]["trainable_parameters"].dump().c_str(),
                training_[method]["tokens_per_s"].get<double>(),
                train::format_duration(training_[method]["seconds"]).c_str());
  }

  static ordered_json score_json(const eval::MetricResult& result) {
    return {{"metric", result.metric}, {"rows", result.rows}, {"score", result.score}};
  }

  /// output/<name>, or the first free output/<name>-<n>: nothing is overwritten.
  fs::path free_directory(const std::string& name) const {
    fs::path dir = output_ / name;
    for (int n = 2; fs::exists(dir); ++n) dir = output_ / (name + "-" + std::to_string(n));
    return dir;
  }

  /// What training and scores took in all the calls that came to their end.
  void add_time(double seconds) {
    const fs::path path = output_ / "time.json";
    if (fs::exists(path)) training_and_scores_s_ = io::read_json_object(path).value("seconds", 0.0);
    if (!worked_) return;
    training_and_scores_s_ += seconds;
    write_file_atomically(path, ordered_json{{"seconds", training_and_scores_s_}}.dump(2) + "\n");
  }

  fs::path scores_path(const std::string& name) const { return output_ / (name + "-scores.json"); }

  /// Scores of a run's adapter, or of its base alone, on the test rows. Those of another number of rows are made again.
  void evaluate(const std::string& name, const std::string& run_name, bool without_adapter) {
    const fs::path path = scores_path(name);
    const nlohmann::json& identity = identity_.at(run_name);
    if (fs::exists(path)) scores_[name] = record_of(path, identity);
    if (scores_.contains(name) && scores_[name].value("rows_asked", int64_t{-1}) == own_.rows) return;
    worked_ = true;
    const auto start = std::chrono::steady_clock::now();
    const train::OpenRun run = train::open_run(output_ / run_name, {.without_adapter = without_adapter});
    const config::RunConfig& config = run.saved.config;
    const data::Dataset dataset = data::load_dataset(config.data, config.tasks);
    eval::EvaluateOptions options{.eval = config.eval, .seed = config.train.seed};
    options.eval.rows = own_.rows;
    std::unique_ptr<train::Progress> progress;
    options.on_row = [&](int64_t done, int64_t rows) {
      if (!progress) progress = std::make_unique<train::Progress>("evaluating " + name, rows, 0, flags_.quiet);
      progress->update(done, "rows");
    };
    eval::Evaluation evaluation = eval::evaluate(run.model, dataset, data::Split::kTest, *run.renderer, options);
    progress.reset();
    evaluation.report.title = "demo: " + name;
    evaluation.report.score_name = name;
    eval::write_report(evaluation.report, free_directory(name + "-report"));
    ordered_json scores = {{"identity", identity}, {"rows_asked", own_.rows}, {"tasks", ordered_json::object()}};
    for (const eval::TaskReport& task : evaluation.report.tasks) {
      scores["tasks"][task.task] = score_json(task.result);
      scores["tasks"][task.task]["further"] = ordered_json::array();
      for (const eval::MetricResult& further : task.further)
        scores["tasks"][task.task]["further"].push_back(score_json(further));
    }
    scores["seconds"] = seconds_since(start);
    write_file_atomically(path, scores.dump(2) + "\n");
    scores_[name] = io::read_json_object(path);
  }

  /// One task's adapter in PEFT's form; the other tasks are one command away.
  void export_one() {
    exported_ = output_ / "adapters" / "report";
    const fs::path path = output_ / "export.json";
    if (!fs::exists(exported_)) {
      const auto start = std::chrono::steady_clock::now();
      train::export_task(train::open_run(output_ / "moelora", {.without_weights = true}), "report", exported_);
      write_file_atomically(path, ordered_json{{"seconds", seconds_since(start)}}.dump(2) + "\n");
    }
    if (fs::exists(path)) export_seconds_ = io::read_json_object(path).value("seconds", 0.0);
  }

  /// Those of a task's metrics beside the first; `trivial` has no scores by them.
  void print_further(const std::string& task, const std::vector<std::string>& columns, const nlohmann::json& trivial,
                     ordered_json& row) const {
    const nlohmann::json& metrics = scores_.at("moelora")["tasks"][task]["further"];
    for (size_t i = 0; i < metrics.size(); ++i) {
      const std::string metric = metrics[i]["metric"];
      std::printf("%-12s %-18s", "", metric.c_str());
      for (const std::string& column : columns) {
        if (trivial.at(task).contains(column)) {
          std::printf(" %9s", "");
          continue;
        }
        const double score = scores_.at(column)["tasks"][task]["further"][i]["score"];
        row["further"][metric][column] = score;
        std::printf(" %9.3f", score);
      }
      std::printf("\n");
    }
  }

  void finish(const std::vector<std::string>& methods) const {
    const nlohmann::json trivial = io::read_json_object(fs::path(own_.assets) / "trivial.json");
    std::vector<std::string> columns = {"majority", "rule", "bayes", "base"};
    columns.insert(columns.end(), methods.begin(), methods.end());

    ordered_json summary = {{"tasks", ordered_json::object()}, {"mean", ordered_json::object()}};
    std::printf("\n%-12s %-18s", "task", "metric");
    for (const std::string& column : columns) std::printf(" %9s", column.c_str());
    std::printf("\n");
    const nlohmann::json& tasks = scores_.at("moelora")["tasks"];
    for (const auto& [task, entry] : tasks.items()) {
      ordered_json row = {{"metric", entry["metric"]}, {"rows", entry["rows"]}};
      std::printf("%-12s %-18s", task.c_str(), entry["metric"].get<std::string>().c_str());
      for (const std::string& column : columns) {
        const bool given = trivial.at(task).contains(column);
        const double score =
            given ? trivial[task][column].get<double>() : scores_.at(column)["tasks"][task]["score"].get<double>();
        row[column] = score;
        summary["mean"][column] = summary["mean"].value(column, 0.0) + score / static_cast<double>(tasks.size());
        std::printf(" %9.3f", score);
      }
      std::printf("\n");
      print_further(task, columns, trivial, row);
      summary["tasks"][task] = row;
    }
    std::printf("%-31s", "mean");
    for (const std::string& column : columns) std::printf(" %9.3f", summary["mean"][column].get<double>());
    std::printf("\n\nmajority, rule and bayes: on all test rows; the rest on %s.\n",
                own_.rows > 0 ? ("at most " + std::to_string(own_.rows) + " a task").c_str() : "all too");

    for (const std::string& method : methods) {
      summary["trainable_parameters"][method] = training_.at(method)["trainable_parameters"];
      summary["tokens_per_s"][method] = training_.at(method)["tokens_per_s"];
      summary["seconds"]["train " + method] = training_.at(method)["seconds"];
    }
    for (const auto& [name, scores] : scores_) summary["seconds"]["evaluate " + name] = scores["seconds"];
    summary["seconds"]["training and scores, side by side"] = training_and_scores_s_;
    summary["seconds"]["export"] = export_seconds_;
    summary["exported"] = {exported_.string()};
    write_file_atomically(summary_path_, summary.dump(2) + "\n");
    std::printf("training and scores, side by side: %s\n", train::format_duration(training_and_scores_s_).c_str());
    std::printf(
        "runs:     %s\nadapter:  %s  (PEFT loads it; `moelora export %s --to DIR` gives every task)\nsummary:  %s\n"
        "gates:    moelora gates %s\n",
        output_.c_str(), exported_.c_str(), (output_ / "moelora").c_str(), summary_path_.c_str(),
        (output_ / "moelora").c_str());
  }

  const DemoFlags& own_;
  const GlobalFlags& flags_;
  fs::path output_;
  fs::path summary_path_;
  fs::path exported_;
  bool worked_ = false;  // this call has trained or scored something
  double training_and_scores_s_ = 0;
  double export_seconds_ = 0;
  std::map<std::string, nlohmann::json> identity_;
  std::map<std::string, nlohmann::json> training_;
  std::map<std::string, nlohmann::json> scores_;
};

}  // namespace

void add_demo(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb = add_verb(
      app, "demo", "the bundled base model learns eight real tasks, with MOELoRA and with plain LoRA", "moelora demo");
  const auto own = std::make_shared<DemoFlags>();
  verb->add_option("--output", own->output, "directory of its runs; what is done there already is kept")
      ->capture_default_str();
  verb->add_option("--rows", own->rows, "at most so many test rows per task, evenly spaced; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--long", own->long_form, "also train every parameter (method full), the upper baseline");
  verb->add_option("--assets", own->assets, "the demo's files")->capture_default_str();
  verb->add_option("--only-method", own->only)->group("");  // the demo starts itself with it
  verb->callback([own, &flags] {
    install_interrupt_handlers();
    Demo(*own, flags).run();
  });
}

}  // namespace moelora::app
