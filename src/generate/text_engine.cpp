#include "generate/text_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/error.h"

namespace moelora::generate {
namespace {

/// The request that scores one label.
Request part_of(const TextRequest& request, const Label& label, int64_t id) {
  return {.id = id,
          .task = request.request.task,
          .prompt = request.request.prompt,
          .scored = label.tokens,
          .where = request.request.where};
}

}  // namespace

std::vector<double> normalised(const std::vector<double>& log_probabilities) {
  const double most = std::ranges::max(log_probabilities);
  std::vector<double> shares;
  for (const double one : log_probabilities) shares.push_back(std::exp(one - most));
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

TextEngine::TextEngine(const adapters::Model& model, const text::Tokenizer& tokenizer, EngineOptions options,
                       std::function<void(int64_t, const std::string&)> on_text)
    : tokenizer_(tokenizer), on_text_(std::move(on_text)), engine_(model, [&] {
        options.on_token = [this](int64_t id, int32_t token) { return on_token(id, token); };
        return std::move(options);
      }()) {}

void TextEngine::check(const TextRequest& request) const {
  const auto fail = [&](const char* problem, const char* expected) {
    throw Error(ErrorKind::kUsage, {.where = request.request.where, .problem = problem, .expected = expected});
  };
  if (std::ranges::any_of(request.stop, &std::string::empty)) fail("an empty stop string", "text");
  if (request.labels.empty()) return engine_.check(request.request);
  std::set<std::vector<int32_t>> known;
  for (const Label& label : request.labels) {
    if (label.text.empty()) fail("an empty label", "text");
    if (!known.insert(label.tokens).second)
      fail("a label stands twice among those to choose from", "labels that differ");
    engine_.check(part_of(request, label, 0));
  }
}

void TextEngine::submit(TextRequest request) {
  check(request);
  const int64_t id = request.request.id;
  if (id < 0 || written_.contains(id) || choices_.contains(id)) {
    throw Error(ErrorKind::kUsage, {.where = request.request.where,
                                    .problem = "a request of this id is unfinished",
                                    .found = std::to_string(id),
                                    .expected = "ids from 0 that differ"});
  }
  if (request.labels.empty()) {
    engine_.submit(std::move(request.request));
    written_.emplace(id, Written{.stream = {tokenizer_, std::move(request.stop), std::move(request.lead)}, .text = {}});
    return;
  }
  const int64_t labels = std::ssize(request.labels);
  Choice& choice = choices_[id];
  choice = {.log_probabilities = std::vector<double>(labels), .first_part = next_part_, .unfinished = labels};
  next_part_ -= labels;
  try {
    for (int64_t i = 0; i < labels; ++i) {
      engine_.submit(part_of(request, request.labels[i], choice.first_part - i));
      parts_[choice.first_part - i] = {id, static_cast<size_t>(i)};
    }
  } catch (const QueueFull&) {
    cancel(id);
    throw;
  }
  choice.labels = std::move(request.labels);
}

bool TextEngine::cancel(int64_t id) {
  const auto choice = choices_.find(id);
  if (choice == choices_.end()) return written_.erase(id) > 0 && engine_.cancel(id);
  for (size_t i = 0; i < choice->second.log_probabilities.size(); ++i) {
    const int64_t part = choice->second.first_part - static_cast<int64_t>(i);
    engine_.cancel(part);
    parts_.erase(part);
  }
  choices_.erase(choice);
  return true;
}

bool TextEngine::on_token(int64_t id, int32_t token) {
  Written& written = written_.at(id);
  const std::string piece = written.stream.push(token);
  written.text += piece;
  if (on_text_ && !piece.empty()) on_text_(id, piece);
  return !written.stream.stopped();
}

TextAnswer TextEngine::finish_written(Completion completion) {
  const auto written = written_.find(completion.id);
  const std::string rest = written->second.stream.finish();
  if (on_text_ && !rest.empty()) on_text_(completion.id, rest);
  const bool stopped = completion.stopped || written->second.stream.stopped();
  TextAnswer answer{.id = completion.id,
                    .text = std::move(written->second.text) + rest,
                    .finish = stopped ? Finish::kStop : Finish::kLength,
                    .prompt_tokens = completion.prompt_tokens,
                    .cached_tokens = completion.cached_tokens,
                    .tokens = std::move(completion.tokens),
                    .logprobs = std::move(completion.logprobs)};
  written_.erase(written);
  return answer;
}

void TextEngine::note_part(const Completion& completion, std::vector<TextAnswer>& answers) {
  const auto [id, label] = parts_.at(completion.id);
  Choice& choice = choices_.at(id);
  double sum = 0;
  for (const TokenLogprobs& token : completion.logprobs) sum += token.chosen.logprob;
  choice.log_probabilities[label] = sum;
  parts_.erase(completion.id);
  if (--choice.unfinished > 0) return;
  TextAnswer answer{.id = id,
                    .prompt_tokens = completion.prompt_tokens,
                    .cached_tokens = completion.cached_tokens,
                    .label_probabilities = normalised(choice.log_probabilities)};
  const auto best = std::ranges::max_element(choice.log_probabilities) - choice.log_probabilities.begin();
  answer.text = choice.labels[best].text;
  answers.push_back(std::move(answer));
  choices_.erase(id);
}

std::vector<TextAnswer> TextEngine::step() {
  std::vector<TextAnswer> answers;
  for (Completion& completion : engine_.step()) {
    if (completion.id < 0) {
      note_part(completion, answers);
    } else {
      answers.push_back(finish_written(std::move(completion)));
    }
  }
  return answers;
}

}  // namespace moelora::generate
