#include "generate/text_stream.h"

#include <algorithm>
#include <string_view>

namespace moelora::generate {
namespace {

/// Bytes at the end of `text` that `stop` begins with, not all of it.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.ends_with(stop.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stop, std::string lead)
    : decoder_(tokenizer, {.skip_special_tokens = true}), stop_(std::move(stop)), lead_(std::move(lead)) {}

std::string TextStream::after_lead(std::string piece) {
  if (lead_.empty()) return piece;
  begun_ += piece;
  if (begun_.size() < lead_.size() && lead_.starts_with(begun_)) return {};
  if (begun_.starts_with(lead_)) begun_.erase(0, lead_.size());
  lead_.clear();
  return std::move(begun_);
}

std::string TextStream::certain(std::string piece) {
  if (stopped_) return {};
  held_ += piece;
  size_t begin = std::string::npos, end = std::string::npos, kept = 0;
  for (const std::string& stop : stop_) {
    const size_t place = held_.find(stop);
    if (place == std::string::npos) {
      kept = std::max(kept, begun(held_, stop));
    } else if (place + stop.size() < end || (place + stop.size() == end && place < begin)) {
      begin = place;
      end = place + stop.size();
    }
  }
  stopped_ = begin != std::string::npos;
  std::string text = held_.substr(0, stopped_ ? begin : held_.size() - kept);
  held_.erase(0, text.size());
  return text;
}

std::string TextStream::push(int32_t id) {
  return certain(after_lead(decoder_.push(id)));
}

std::string TextStream::finish() {
  std::string rest = after_lead(decoder_.finish());
  if (!lead_.empty()) rest = std::move(begun_);  // only a beginning of the lead has come
  std::string text = certain(std::move(rest));
  return stopped_ ? text : text + held_;
}

}  // namespace moelora::generate
