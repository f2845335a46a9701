#include "text/sentencepiece_model.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/utf8.h"

namespace moelora::text::internal {
namespace {

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "") {
  throw Error(ErrorKind::kModel, {.where = where,
                                  .problem = std::move(problem),
                                  .found = std::move(found),
                                  .expected = "a SentencePiece model (tokenizer.model)"});
}

/// One field of a protocol buffer: its number and, by its type, a value or the bytes of a text or message.
struct Field {
  uint64_t number = 0;
  uint64_t type = 0;
  uint64_t value = 0;      // varint, fixed32, fixed64
  std::string_view bytes;  // length-delimited
};

constexpr uint64_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

class Message {
 public:
  Message(std::string_view rest, const std::string& name) : rest_(rest), name_(name) {}

  /// nullopt at the end.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const uint64_t key = varint();
    Field field{.number = key >> 3, .type = key & 7};
    if (field.number == 0) refuse(name_, "not a SentencePiece model");
    switch (field.type) {
      case kVarint:
        field.value = varint();
        break;
      case kFixed64:
      case kFixed32:
        field.bytes = take(field.type == kFixed64 ? 8 : 4);
        std::memcpy(&field.value, field.bytes.data(), field.bytes.size());
        break;
      case kBytes:
        field.bytes = take(varint());
        break;
      default:
        refuse(name_, "not a SentencePiece model", "a field of type " + std::to_string(field.type));
    }
    return field;
  }

 private:
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) refuse(name_, "cut short, or a length in it is wrong");
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse(name_, "a number in it is too long");
  }

  std::string_view rest_;
  const std::string& name_;
};

void check_piece(std::string_view bytes, const std::string& where) {
  std::optional<std::string_view> text;
  Message message(bytes, where);
  while (const std::optional<Field> field = message.next()) {
    if (field->number == 1 && field->type == kBytes) text = field->bytes;
    if (field->number == 2 && field->type == kFixed32) {
      float score = 0;
      const auto bits = static_cast<uint32_t>(field->value);
      std::memcpy(&score, &bits, sizeof score);
      if (!std::isfinite(score)) refuse(where, "its score isn't a number");
    }
  }
  if (!text || text->empty()) refuse(where, "it has no text");
  if (first_invalid_utf8(*text)) refuse(where, "its text isn't valid UTF-8");
}

/// A table of replacements: the size of a double-array trie (Darts), its units of 32 bits, then the replacements, each
/// ended by NUL. A unit has the label of the byte that leads to it, the offset of its children, or the position of a
/// replacement. The library follows them without looking at sizes.
class ReplacementTable {
 public:
  ReplacementTable(std::string_view blob, const std::string& where) : where_(where) {
    uint32_t size = 0;
    if (blob.size() < sizeof size) refuse(where_, "its normalisation table is cut short");
    std::memcpy(&size, blob.data(), sizeof size);
    blob.remove_prefix(sizeof size);
    if (size >= blob.size() || size % sizeof(uint32_t) != 0 || size == 0) {
      refuse(where_, "its normalisation table is cut short");
    }
    units_.resize(size / sizeof(uint32_t));
    std::memcpy(units_.data(), blob.data(), size);
    replacements_ = blob.substr(size);
    if (replacements_.back() != '\0') refuse(where_, "its normalisation table is cut short");
  }

  void check() const {
    constexpr uint64_t kLabels = 256;
    std::vector<bool> seen(units_.size());
    std::vector<uint64_t> open = {child_base(0)};
    while (!open.empty()) {
      const uint64_t base = open.back();
      open.pop_back();
      // Any byte may be looked up among its children; of 256 neighbours in a block of its own.
      if ((base | (kLabels - 1)) >= units_.size()) refuse(where_, "its normalisation table leads out of itself");
      if (seen[base]) continue;
      seen[base] = true;
      for (uint64_t label = 1; label < kLabels; ++label) {
        const uint64_t child = base ^ label;
        if ((units_[child] & (0x80000000U | 0xFFU)) != label) continue;
        const uint64_t grandchildren = child_base(child);
        if (has_leaf(child)) check_leaf(grandchildren);
        open.push_back(grandchildren);
      }
    }
  }

 private:
  bool has_leaf(uint64_t unit) const { return (units_[unit] >> 8 & 1) == 1; }
  /// Of the unit's children: each is at this exclusive-or its label.
  uint64_t child_base(uint64_t unit) const {
    const uint32_t bits = units_[unit];
    return unit ^ static_cast<uint64_t>(bits >> 10) << ((bits & 1U << 9) >> 6);
  }
  void check_leaf(uint64_t leaf) const {
    if (leaf >= units_.size() || (units_[leaf] & 0x7FFFFFFFU) >= replacements_.size()) {
      refuse(where_, "its normalisation table leads out of itself");
    }
  }

  std::string where_;
  std::vector<uint32_t> units_;
  std::string_view replacements_;
};

void check_normaliser(std::string_view bytes, const std::string& name) {
  Message message(bytes, name);
  while (const std::optional<Field> field = message.next()) {
    if (field->number == 2 && field->type == kBytes && !field->bytes.empty()) {
      ReplacementTable(field->bytes, name).check();
    }
  }
}

}  // namespace

void check_sentencepiece_model(std::string_view contents, const std::string& name) {
  int64_t pieces = 0;
  bool has_trainer = false, has_normaliser = false;  // written behind the pieces: what a cut between fields loses
  Message message(contents, name);
  while (const std::optional<Field> field = message.next()) {
    if (field->type != kBytes) continue;
    if (field->number == 1) check_piece(field->bytes, name + ", piece " + std::to_string(pieces++));
    has_trainer = has_trainer || field->number == 2;
    has_normaliser = has_normaliser || field->number == 3;
    if (field->number == 3 || field->number == 5) check_normaliser(field->bytes, name);
  }
  if (pieces == 0) refuse(name, "it has no pieces");
  if (!has_trainer || !has_normaliser) refuse(name, "cut short: it doesn't say how text is encoded");
}

}  // namespace moelora::text::internal
