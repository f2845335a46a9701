// TensorBoard files, read back by a reader written from the formats: TFRecord framing and protocol-buffer wire types.
#include "train/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <string_view>

#include "core/error.h"
#include "core/temporary_directory.h"
#include "train/metrics_log.h"

namespace moelora::train {
namespace {

/// Bit by bit, reflected polynomial 0x82F63B78.
uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

uint32_t masked(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

template <typename T>
T take(std::string_view& bytes) {
  if (bytes.size() < sizeof(T)) throw std::runtime_error("cut short");
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

std::string_view take_bytes(std::string_view& bytes, uint64_t size) {
  if (bytes.size() < size) throw std::runtime_error("cut short");
  const std::string_view part = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return part;
}

uint64_t take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<unsigned char>(bytes);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
}

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string file_version;
  std::map<std::string, float> scalars;
};

void read_value(std::string_view bytes, Event& event) {
  std::string tag;
  while (!bytes.empty()) {
    const uint64_t key = take_varint(bytes);
    if (key == (1 << 3 | 2)) {
      tag = take_bytes(bytes, take_varint(bytes));
    } else if (key == (2 << 3 | 5)) {
      event.scalars[tag] = take<float>(bytes);
    } else {
      throw std::runtime_error("unknown field of a value");
    }
  }
}

Event read_event(std::string_view bytes) {
  Event event;
  while (!bytes.empty()) {
    const uint64_t key = take_varint(bytes);
    if (key == (1 << 3 | 1)) {
      event.wall_time = take<double>(bytes);
    } else if (key == (2 << 3 | 0)) {
      event.step = static_cast<int64_t>(take_varint(bytes));
    } else if (key == (3 << 3 | 2)) {
      event.file_version = take_bytes(bytes, take_varint(bytes));
    } else if (key == (5 << 3 | 2)) {
      std::string_view summary = take_bytes(bytes, take_varint(bytes));
      while (!summary.empty()) {
        if (take_varint(summary) != (1 << 3 | 2)) throw std::runtime_error("unknown field of a summary");
        read_value(take_bytes(summary, take_varint(summary)), event);
      }
    } else {
      throw std::runtime_error("unknown field of an event");
    }
  }
  return event;
}

std::vector<Event> read_events(const std::filesystem::path& directory) {
  std::vector<Event> events;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    const std::string content = test::read_file(entry.path());
    std::string_view rest = content;
    while (!rest.empty()) {
      const std::string_view framing = rest.substr(0, 8);
      const auto length = take<uint64_t>(rest);
      EXPECT_EQ(take<uint32_t>(rest), masked(framing));
      const std::string_view data = take_bytes(rest, length);
      EXPECT_EQ(take<uint32_t>(rest), masked(data));
      events.push_back(read_event(data));
    }
  }
  return events;
}

TEST(TensorBoardReader, ComputesTheKnownChecksum) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
}

TEST(TensorBoardWriter, WritesAVersionAndScalarsWithTheirSteps) {
  const test::TemporaryDirectory directory;
  TensorBoardWriter writer(directory.path());
  writer.write(1, {{"train/loss", 2.5}, {"任务/loss", -0.125}});
  writer.write(300, {{"train/loss", 1e-3}});
  writer.write(5'000'000'000, {});
  const std::vector<Event> events = read_events(directory.path());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_EQ(events[1].step, 1);
  EXPECT_THAT(events[1].scalars,
              ::testing::ElementsAre(::testing::Pair("train/loss", 2.5f), ::testing::Pair("任务/loss", -0.125f)));
  EXPECT_EQ(events[2].step, 300);
  EXPECT_THAT(events[2].scalars, ::testing::ElementsAre(::testing::Pair("train/loss", 1e-3f)));
  EXPECT_EQ(events[3].step, 5'000'000'000);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_NEAR(events[1].wall_time, now.count(), 60);
}

TEST(TensorBoardWriter, SaysWhereItCantWrite) {
  const test::TemporaryDirectory directory;
  try {
    TensorBoardWriter writer(directory.path() / "absent");
    ADD_FAILURE() << "wrote into no directory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("absent"));
  }
}

TEST(MetricsLog, WritesEachNumberAsAScalarByItsPath) {
  const test::TemporaryDirectory directory;
  MetricsLog log(directory.path());
  const nlohmann::ordered_json record = {
      {"step", 4}, {"eval", {{"report", {{"loss", 0.5}}}, {"mean", {{"loss", 1}}}}}, {"note", "text"}};
  log.write(record);
  EXPECT_EQ(log.sync(), static_cast<int64_t>(record.dump().size()) + 1);
  EXPECT_EQ(test::read_file(directory.path() / "metrics.jsonl"), record.dump() + "\n");
  const std::vector<Event> events = read_events(directory.path());
  EXPECT_EQ(events.back().step, 4);
  EXPECT_THAT(events.back().scalars, ::testing::ElementsAre(::testing::Pair("eval/mean/loss", 1.0f),
                                                            ::testing::Pair("eval/report/loss", 0.5f)));
}

}  // namespace
}  // namespace moelora::train
