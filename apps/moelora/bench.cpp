// moelora bench train [CONFIG.yaml | --shape NAME], moelora bench generate --shape NAME
#include <ATen/Parallel.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <memory>

#include "bench/generate_bench.h"
#include "bench/paired_bench.h"
#include "bench/shapes.h"
#include "bench/train_bench.h"
#include "bench/workload.h"
#include "config/enum_names.h"
#include "config/load.h"
#include "config/method.h"
#include "core/error.h"
#include "core/suggest.h"
#include "nn/random_weights.h"
#include "train/machine.h"
#include "train/plan.h"
#include "train/setup.h"
#include "train/snapshots.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct BenchTrainFlags {
  std::string config;
  std::string shape = "qwen2.5-0.5b";
  std::string workload;
  int64_t samples = 64;
  int64_t tokens = 512;
  bool one_task = false;
  bench::TrainBenchOptions options;
  std::vector<std::string> against;  // what the other of a pair changes; nothing: no pairs
  bool against_one_task = false;
  int64_t pairs = 11;
  bool json = false;
};

/// The flags' own run where no configuration is given: what the overrides don't say is PEFT's customary setting.
config::RunConfig bench_config(const BenchTrainFlags& own, const std::vector<std::string>& overrides) {
  if (!own.config.empty()) return config::load_config(own.config, overrides);
  return config::parse_config(
      "model: " + own.shape + "\ndata: {sources: [none]}\noutput: none\ntrain: {batch_size: 8}\n", "bench", overrides);
}

struct Prepared {
  config::RunConfig config;
  std::string model_name, workload_name;
  adapters::Model model;
  bench::Workload workload;
};

Prepared prepare(const BenchTrainFlags& own, const std::vector<std::string>& overrides) {
  Prepared prepared{.config = bench_config(own, overrides),
                    .model_name = own.shape,
                    .workload_name = own.workload,
                    .model = {},
                    .workload = {}};
  const config::RunConfig& config = prepared.config;
  if (!own.config.empty()) {
    train::RunSetup setup = train::prepare_data(config);
    train::load_model(setup);
    prepared.workload = {setup.dataset.task_names(), setup.train_rows};
    prepared.config = std::move(setup.config);  // `auto` is resolved
    prepared.model_name = config.model;
    prepared.workload_name = own.config;
    prepared.model = std::move(setup.model);
    return prepared;
  }
  train::use_threads(config.train);
  const nn::ModelConfig shape = bench::shape(own.shape);
  bench::Workload workload = own.workload.empty()
                                 ? bench::even_workload(own.samples, own.tokens, shape.vocab_size, config.train.seed)
                                 : bench::read_workload(own.workload, shape.vocab_size, config.train.seed);
  if (own.workload.empty()) prepared.workload_name = std::to_string(own.samples) + " x " + std::to_string(own.tokens);
  if (own.one_task) workload = bench::as_one_task(workload);
  nn::RandomWeights weights(config.train.seed, shape.initializer_range);
  prepared.config.train.weight_layout =
      train::choose_weight_layout(config, shape, static_cast<int64_t>(workload.tasks.size()));
  prepared.model.decoder = std::make_unique<nn::Decoder>(shape, weights, train::compute_dtype(config.train.dtype),
                                                         train::training_form(config));
  if (config::trains_base(config.adapter.method)) {
    prepared.model.decoder->make_trainable();
  } else {
    prepared.model.adapters = std::make_unique<adapters::AdapterSet>(*prepared.model.decoder, config.adapter,
                                                                     workload.tasks, config.train.seed);
  }
  prepared.workload = std::move(workload);
  return prepared;
}

/// Gives two decoders one copy of the weights.
class SharedWeights : public nn::WeightSource {
 public:
  explicit SharedWeights(nn::WeightSource& source) : source_(source) {}

  bool contains(const std::string& name) const override { return source_.contains(name); }
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override {
    at::Tensor& weight = loaded_[name];
    if (!weight.defined()) weight = source_.load(name, shape, dtype);
    return weight;
  }
  void forget(const std::string& name) override {
    const auto weight = loaded_.find(name);
    if (weight != loaded_.end() && weight->second.use_count() == 1) loaded_.erase(weight);  // nobody computes with it
  }

 private:
  nn::WeightSource& source_;
  std::map<std::string, at::Tensor> loaded_;
};

void print_table(const nlohmann::ordered_json& json) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      for (const auto& [kind, share] : value.items())
        std::printf("  %-22s %10.1f %%\n", kind.c_str(), 100 * share.get<double>());
    } else if (value.is_number_float()) {
      std::printf("%-24s %10.3f\n", key.c_str(), value.get<double>());
    } else {
      std::printf("%-24s %10s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
}

bench::Contender contender(const config::RunConfig& config, const bench::Workload& workload) {
  if (config::trains_base(config.adapter.method) || config::is_made_of_runs(config.adapter.method)) {
    throw Error(ErrorKind::kUsage, {.where = "--against",
                                    .problem = "pairs are of methods that train one set of adapters over one base",
                                    .found = config::name_of(config.adapter.method)});
  }
  return {.config = config, .tasks = train::task_list(workload.tasks, config), .rows = workload.rows};
}

/// The other of a pair: it goes on with the same base and rows.
bench::Contender other_contender(const BenchTrainFlags& own, const Prepared& prepared,
                                 const std::vector<std::string>& overrides) {
  const config::TrainConfig& resolved = prepared.config.train;
  std::vector<std::string> fixed = overrides;
  fixed.push_back("train.weight_layout=" + config::name_of(resolved.weight_layout));
  fixed.push_back("train.recompute=" + config::name_of(resolved.recompute));
  std::vector<std::string> changed = fixed;
  changed.insert(changed.end(), own.against.begin(), own.against.end());
  const config::RunConfig before = bench_config(own, fixed), config = bench_config(own, changed);
  config::RunConfig same = config;
  same.adapter = before.adapter;
  same.train.recompute = before.train.recompute;
  same.train.tokens_per_batch = before.train.tokens_per_batch;
  if (same != before) {
    throw Error(ErrorKind::kUsage,
                {.where = "--against",
                 .problem = "only the adapter, train.recompute and train.tokens_per_batch may differ",
                 .found = own.against.front()});
  }
  bench::Contender other = contender(config, prepared.workload);
  if (own.against_one_task) other.tasks.groups.assign(other.tasks.names.size(), 0);  // of the same samples
  return other;
}

void run_bench_train(const BenchTrainFlags& own, const std::vector<std::string>& overrides) {
  Prepared prepared = prepare(own, overrides);
  const config::RunConfig& config = prepared.config;
  nlohmann::ordered_json json = {{"model", prepared.model_name},
                                 {"workload", prepared.workload_name},
                                 {"method", config::name_of(config.adapter.method)},
                                 {"dtype", prepared.model.decoder->dtype() == at::kBFloat16 ? "bf16" : "f32"},
                                 {"quantization", config::name_of(config.quantization)},
                                 {"weight_layout", config::name_of(config.train.weight_layout)},
                                 {"batching", "packed"},
                                 {"batch_size", config.train.batch_size},
                                 {"tokens_per_batch", config.train.tokens_per_batch},
                                 {"threads", at::get_num_threads()}};
  if (own.against.empty() && !own.against_one_task) {
    json.update(
        bench::train_bench_json(bench::bench_train(prepared.model, prepared.workload.rows, config, own.options)));
  } else {
    json["against"] = own.against;
    if (own.against_one_task) json["against"].push_back("one task");
    json.update(bench::paired_bench_json(bench::bench_pairs(prepared.model, contender(config, prepared.workload),
                                                            other_contender(own, prepared, overrides), own.pairs,
                                                            own.options)));
  }
  if (own.json) {
    std::cout << json.dump() << "\n";
  } else {
    print_table(json);
  }
}

struct BenchGenerateFlags {
  std::string shape = "qwen2.5-0.5b";
  bench::GenerateBenchOptions options;
  bool json = false;
};

void run_bench_generate(const BenchGenerateFlags& own, const std::vector<std::string>& overrides) {
  const config::RunConfig config = bench_config({.shape = own.shape}, overrides);
  train::use_threads(config.train);
  const nn::ModelConfig shape = bench::shape(own.shape);
  const at::ScalarType dtype = train::compute_dtype(config.train.dtype);
  nn::RandomWeights weights(config.train.seed, shape.initializer_range);
  SharedWeights shared(weights);
  const auto decoder = [&] {
    return std::make_unique<nn::Decoder>(shape, shared, dtype, train::reading_form(config, shape));
  };
  const adapters::Model base{.decoder = decoder(), .adapters = nullptr};
  adapters::Model adapted{.decoder = decoder(), .adapters = nullptr};
  std::vector<std::string> tasks;
  for (int64_t i = 0; i < own.options.batch_size; ++i) tasks.push_back("task" + std::to_string(i));
  adapted.adapters = std::make_unique<adapters::AdapterSet>(*adapted.decoder, config.adapter, tasks, config.train.seed);
  nlohmann::ordered_json json = {{"model", own.shape},
                                 {"dtype", dtype == at::kBFloat16 ? "bf16" : "f32"},
                                 {"quantization", config::name_of(config.quantization)},
                                 {"threads", at::get_num_threads()}};
  json.update(bench::generate_bench_json(bench::bench_generate(adapted, base, own.options), own.options));
  if (own.json) {
    std::cout << json.dump() << "\n";
  } else {
    print_table(json);
  }
}

void add_bench_generate(CLI::App& bench) {
  CLI::App* verb =
      add_verb(bench, "generate",
               "reading prompts and writing answers of mixed tasks, beside the bare base and the memory's limit",
               "moelora bench generate --shape qwen2.5-0.5b --batch-size 8");
  const auto own = std::make_shared<BenchGenerateFlags>();
  verb->add_option("--shape", own->shape, list_names(bench::shape_names()))->capture_default_str();
  verb->add_option("--batch-size", own->options.batch_size, "sequences decoded together, each of a task of its own")
      ->check(CLI::Range(1, 1 << 12))
      ->capture_default_str();
  verb->add_option("--prompt-tokens", own->options.prompt_tokens, "of each prompt")
      ->check(CLI::Range(1, 1 << 14))
      ->capture_default_str();
  verb->add_option("--new-tokens", own->options.new_tokens, "of each answer")
      ->check(CLI::Range(2, 1 << 14))
      ->capture_default_str();
  verb->add_option("--pairs", own->options.pairs, "times that adapters and bare base are run, step by step in turns")
      ->check(CLI::Range(1, 1 << 10))
      ->capture_default_str();
  verb->add_flag("--json", own->json, "print one line of JSON instead of a table");
  verb->allow_extras();
  verb->callback([verb, own] { run_bench_generate(*own, config_overrides(*verb)); });
}

void add_bench_train(CLI::App& bench) {
  CLI::App* verb = add_verb(
      bench, "train", "optimizer steps: tokens per second, memory, and where the time goes",
      "moelora bench train --shape qwen2.5-0.5b --workload benchmarks/workloads/ragged.jsonl --adapter.experts=8");
  const auto own = std::make_shared<BenchTrainFlags>();
  verb->add_option("config", own->config, "a run's configuration; else a shape with random weights");
  verb->add_option("--shape", own->shape, list_names(bench::shape_names()))->capture_default_str();
  verb->add_option("--workload", own->workload, "JSON Lines of {task, prompt, answer}: lengths in tokens");
  verb->add_option("--samples", own->samples, "without a workload: so many samples")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--tokens", own->tokens, "of so many tokens")->check(CLI::Range(2, 1 << 20))->capture_default_str();
  verb->add_flag("--one-task", own->one_task, "all samples are of one task");
  verb->add_option("--steps", own->options.steps, "steps that are timed")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--warmup", own->options.warmup, "steps before them")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  verb->add_flag("--products", own->options.products, "also time the step's matrix products alone");
  verb->add_option(
          "--against", own->against,
          "KEY=VALUE: also run with this changed, in turns over the same base: what the one costs over the other")
      ->expected(1)
      ->take_all();
  verb->add_flag("--against-one-task", own->against_one_task,
                 "the same, the other with all tasks as one to the adapter");
  verb->add_option("--pairs", own->pairs, "of such turns")->check(CLI::Range(1, 1 << 10))->capture_default_str();
  verb->add_flag("--json", own->json, "print one line of JSON instead of a table");
  verb->allow_extras();
  verb->callback([verb, own] { run_bench_train(*own, config_overrides(*verb)); });
}

}  // namespace

void add_bench(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb =
      add_verb(app, "bench", "speed and memory on this machine", "moelora bench train --shape qwen2.5-0.5b");
  verb->require_subcommand(1);
  add_bench_train(*verb);
  add_bench_generate(*verb);
}

}  // namespace moelora::app
