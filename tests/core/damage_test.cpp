// Damaged directories: every flipped bit and every cut is found, and the message names the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/durable.h"
#include "core/random.h"
#include "core/temporary_directory.h"
#include "core/utf8.h"

namespace moelora {
namespace {

using test::read_file;
using test::TemporaryDirectory;
using test::write_file;

class Damage : public testing::Test {
 protected:
  Damage() : target_(place_.path() / "checkpoint-1") {
    Random random(1, RandomStream::kData);
    std::string weights(20000, '\0');
    for (char& c : weights) c = static_cast<char>(random.below(256));
    DirectoryWriter writer(target_);
    writer.add_file("weights", weights);
    writer.add_file("adapter/config.json", std::string_view("{\"rank\": 16}\n"));
    writer.commit({{"step", 12}, {"base", "Qwen"}});
  }
  /// The file named by verify_directory's error; "" where there is none.
  std::string blamed() const {
    try {
      verify_directory(target_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      return std::filesystem::path(error.details().where).lexically_relative(target_).string();
    }
    return "";
  }

  TemporaryDirectory place_;
  std::filesystem::path target_;
};

TEST_F(Damage, OfOneBitAtTenThousandPositionsIsFoundAndNamed) {
  ASSERT_EQ(blamed(), "");
  Random random(2, RandomStream::kData);
  int64_t flips = 0;
  // All of the small files, then places in the large one.
  for (const char* name : {"manifest.json", "adapter/config.json", "weights"}) {
    const std::string good = read_file(target_ / name);
    const bool is_small = good.size() < 2000;
    const size_t count = is_small ? good.size() * 8 : static_cast<size_t>(10000 - flips);
    std::fstream file(target_ / name, std::ios::in | std::ios::out | std::ios::binary);
    const auto set_byte = [&](size_t at, char value) {
      file.seekp(static_cast<std::streamoff>(at)).put(value).flush();
      ASSERT_TRUE(file.good());
    };
    for (size_t i = 0; i < count; ++i, ++flips) {
      const size_t bit = is_small ? i : random.below(good.size() * 8);
      set_byte(bit / 8, static_cast<char>(good[bit / 8] ^ (1 << (bit % 8))));
      ASSERT_EQ(blamed(), name) << "bit " << bit;
      set_byte(bit / 8, good[bit / 8]);
    }
  }
  EXPECT_GE(flips, 10000);
  EXPECT_EQ(blamed(), "");
}

TEST_F(Damage, ByCuttingOrLengtheningIsFoundAndNamed) {
  for (const char* name : {"manifest.json", "adapter/config.json", "weights"}) {
    const std::string good = read_file(target_ / name);
    for (size_t size = 0; size < good.size(); size += good.size() < 4096 ? 1 : 4096) {
      write_file(target_ / name, good.substr(0, size));
      ASSERT_EQ(blamed(), name) << size;
    }
    write_file(target_ / name, good + '\0');
    EXPECT_EQ(blamed(), name);
    std::filesystem::remove(target_ / name);
    EXPECT_EQ(blamed(), name);
    std::filesystem::create_directory(target_ / name);
    EXPECT_EQ(blamed(), name);
    std::filesystem::remove(target_ / name);
    write_file(target_ / name, good);
  }
}

TEST_F(Damage, ExtraFilesAreNotDamage) {
  write_file(target_ / "README.md", "a user's notes");
  EXPECT_EQ(blamed(), "");
}

/// A manifest whose own checksum is right, whatever else it says.
std::string signed_manifest(const std::string& body) {
  return body + ",\n  \"manifest_xxh3_128\": \"" + hash_hex(body) + "\"\n}\n";
}

TEST_F(Damage, HostileManifestsWithARightChecksumAreRefused) {
  const std::string files_tail = ": {\"size\": 1, \"xxh3_128\": \"00\"}}, \"fields\": {}";
  const std::vector<std::string> bodies = {
      "{\"format_version\": 2, \"files\": {}, \"fields\": {}",
      "{\"format_version\": \"1\", \"files\": {}, \"fields\": {}",
      "{\"files\": {}, \"fields\": {}",
      "{\"format_version\": 1, \"files\": [], \"fields\": []",
      "{\"format_version\": 1, \"fields\": {}",
      "{\"format_version\": 1, \"files\": {\"../../etc/passwd\"" + files_tail,
      "{\"format_version\": 1, \"files\": {\"/etc/passwd\"" + files_tail,
      "{\"format_version\": 1, \"files\": {\"manifest.json\"" + files_tail,
      "{\"format_version\": 1, \"files\": {\"a\\u0000b\"" + files_tail,
      "{\"format_version\": 1, \"files\": {\"weights\": {\"size\": -1, \"xxh3_128\": \"\"}}, \"fields\": {}",
      "{\"format_version\": 1, \"files\": {\"weights\": {\"size\": 1e99, \"xxh3_128\": \"\"}}, \"fields\": {}",
      "{\"format_version\": 1, \"files\": {\"weights\": 3}, \"fields\": {}",
      std::string(100000, '['),
      "{\"format_version\": 1, \"files\": {}, \"fields\": {\"a\": " + std::string(100000, '[') +
          std::string(100000, ']') + "}",
      "",
  };
  for (const std::string& body : bodies) {
    write_file(target_ / "manifest.json", signed_manifest(body));
    EXPECT_THROW(verify_directory(target_), Error) << body.substr(0, 80);
  }
}

TEST_F(Damage, MessagesAboutHostileManifestsAreShortText) {
  const std::string digits(32, '0');
  const std::string long_name(100'000, 'n');
  const std::vector<std::pair<std::string, std::string>> bodies = {
      {"{\"format_version\": \"\xff\xfe", "not valid JSON (found `parse error at line 1"},
      {"{\"format_version\": \"" + long_name, "not valid JSON"},
      {"{\"format_version\": 1, \"files\": {\"" + long_name + "\": {\"size\": 1, \"xxh3_128\": \"" + digits +
           "\"}}, \"fields\": {}",
       "names a file it can't hold"},
      {"{\"format_version\": 1, \"files\": {\"weights\": {\"size\": 1, \"xxh3_128\": \"" + long_name +
           "\"}}, \"fields\": {}",
       "not a checksum"},
      {"{\"format_version\": 1, \"files\": {\"weights\": {\"size\": 1.5, \"xxh3_128\": \"" + digits +
           "\"}}, \"fields\": {}",
       "`size` is not an integer"},
  };
  for (const auto& [body, message] : bodies) {
    write_file(target_ / "manifest.json", signed_manifest(body));
    try {
      verify_directory(target_);
      ADD_FAILURE() << "accepted: " << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(message));
      EXPECT_FALSE(first_invalid_utf8(error.what())) << message;
      EXPECT_LT(std::string_view(error.what()).size(), 1000u) << message;
    }
  }
}

}  // namespace
}  // namespace moelora
