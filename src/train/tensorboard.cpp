#include "train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "core/error.h"

namespace moelora::train {
namespace {

// Protocol-buffer wire types and the field numbers of the two messages.
constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
constexpr int kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr int kSummaryValue = 1, kValueTag = 1, kValueSimple = 2;

uint32_t crc32c(const std::string& bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> entries{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
      entries[i] = crc;
    }
    return entries;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

uint32_t masked_crc(const std::string& bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(int field, int wire_type) {
  return varint(static_cast<uint64_t>(field << 3 | wire_type));
}
std::string bytes_field(int field, const std::string& bytes) {
  return key(field, kBytes) + varint(bytes.size()) + bytes;
}

std::string event_head() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return key(kEventWallTime, kFixed64) + little_endian(now.count());
}

std::string file_name() {
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return "events.out.tfevents." + std::to_string(seconds) + "." + host + "." + std::to_string(getpid());
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& directory)
    : path_(directory / file_name()), file_(path_, std::ios::binary | std::ios::app) {
  write_record(event_head() + bytes_field(kEventFileVersion, "brain.Event:2"));
}

void TensorBoardWriter::write(int64_t step, const std::map<std::string, double>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(kSummaryValue, bytes_field(kValueTag, tag) + key(kValueSimple, kFixed32) +
                                              little_endian(static_cast<float>(value)));
  }
  write_record(event_head() + key(kEventStep, kVarint) + varint(static_cast<uint64_t>(step)) +
               bytes_field(kEventSummary, summary));
}

void TensorBoardWriter::write_record(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  file_ << length << little_endian(masked_crc(length)) << event << little_endian(masked_crc(event));
  file_.flush();
  if (!file_) throw Error(ErrorKind::kIo, {.where = path_.string(), .problem = "can't write TensorBoard events"});
}

}  // namespace moelora::train
