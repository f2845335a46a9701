// 10,000 seeded mutants of valid files: what our reader accepts, the reference library reads as the same; the rest is
// refused with file and reason.
#include <array>

#include "core/random.h"
#include "io/safetensors_description.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

constexpr int kMutants = 10'000;

std::vector<std::string> valid_files() {
  return {
      safetensors_bytes(R"({"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", "abcdefgh"),
      safetensors_bytes(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
          R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]},"c":{"dtype":"U8","shape":[],"data_offsets":[14,15]}}   )",
          "0123456789abcde"),
      safetensors_bytes(
          R"({"z":{"dtype":"F16","shape":[0,7],"data_offsets":[0,0]},"层.权":{"dtype":"BOOL","shape":[1,2,2],"data_offsets":[0,4]}})",
          std::string("\0\1\1\0", 4)),
      safetensors_bytes(
          R"({"a":{"data_offsets":[4,6],"shape":[1],"dtype":"I16"},"b":{"dtype":"U32","shape":[1],"data_offsets":[0,4]}})",
          "uvwxyz"),
  };
}

/// Pieces of the grammar, so that mutants go wrong deeper than at the first character.
constexpr std::array<std::string_view, 40> kPieces = {"{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "\"",
                                                      " ",
                                                      "\n",
                                                      "0",
                                                      "1",
                                                      "2",
                                                      "8",
                                                      "-1",
                                                      "-0",
                                                      "1e1",
                                                      "0.5",
                                                      "4294967296",
                                                      "9223372036854775807",
                                                      "18446744073709551615",
                                                      "18446744073709551616",
                                                      "null",
                                                      "true",
                                                      "{}",
                                                      "[]",
                                                      "[[]]",
                                                      "\"\"",
                                                      "\"F32\"",
                                                      "\"U8\"",
                                                      "\"BF16\"",
                                                      "\"dtype\"",
                                                      "\"shape\"",
                                                      "\"data_offsets\"",
                                                      "\"__metadata__\"",
                                                      "[0,0]",
                                                      "[0,8]",
                                                      "\\u0000",
                                                      "\\ud800",
                                                      "\xff",
                                                      ",\"x\":1"};

std::string mutant(const std::vector<std::string>& seeds, Random& random) {
  const std::string& bytes = seeds[random.below(seeds.size())];
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  std::string header = bytes.substr(sizeof header_size, header_size);
  std::string data = bytes.substr(sizeof header_size + header_size);
  const bool keep_length = random.below(10) == 0;  // mostly the length is repaired, so that the JSON is reached
  const uint64_t changes = 1 + random.below(3);
  for (uint64_t i = 0; i < changes; ++i) {
    const size_t at = random.below(header.size() + 1);
    const std::string_view piece = kPieces[random.below(kPieces.size())];
    switch (random.below(8)) {
      case 0:
        if (at < header.size()) header[at] = static_cast<char>(header[at] ^ (1 << random.below(8)));
        break;
      case 1:
        header.insert(at, piece);
        break;
      case 2:
        header.erase(at, 1 + random.below(4));
        break;
      case 3:
        header.replace(at, std::min<size_t>(header.size() - at, random.below(8)), piece);
        break;
      case 4:  // another digit: sizes and offsets that don't fit
        if (const size_t digit = header.find_first_of("0123456789", at); digit != std::string::npos) {
          header[digit] = static_cast<char>('0' + random.below(10));
        }
        break;
      case 5:
        header.insert(at, header.substr(random.below(header.size() + 1), random.below(60)));
        break;
      case 6:
        random.below(2) == 0 ? data.resize(random.below(20), 'd') : data.resize(data.size() + random.below(2), 'd');
        break;
      default:  // spaces where JSON allows them: stays valid
        if (const size_t comma = header.find_first_of(",:", at); comma != std::string::npos) header.insert(comma, " ");
        break;
    }
  }
  std::string whole = safetensors_bytes(header, data);
  if (keep_length) whole.replace(0, 8, bytes, 0, 8);
  return whole;
}

TEST(MutatedSafetensors, AreRefusedOrReadAsTheReferenceLibraryReadsThem) {
  Random random(20'240'601, RandomStream::kData);
  const std::vector<std::string> seeds = valid_files();
  std::vector<std::string> mutants = seeds;
  while (mutants.size() < kMutants + seeds.size()) mutants.push_back(mutant(seeds, random));
  const std::vector<std::string> theirs = oracle_descriptions(mutants);

  int accepted = 0;
  int refused = 0;
  int stricter = 0;
  for (size_t i = 0; i < mutants.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "mutant " << i << ": " << mutants[i].substr(8));
    try {
      const auto file = SafetensorsFile::parse(bytes_of(mutants[i]), "mutant.safetensors");
      ASSERT_EQ(description(*file), theirs[i]);
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kModel);
      ASSERT_THAT(error.what(), testing::StartsWith("mutant.safetensors"));
      ASSERT_FALSE(error.details().problem.empty());
      ASSERT_GE(i, seeds.size()) << "a valid file was refused: " << error.what();
      ++refused;
      stricter += theirs[i] != "refused" ? 1 : 0;
    }
  }
  RecordProperty("accepted", accepted);
  RecordProperty("refused", refused);
  RecordProperty("stricter", stricter);
  // The test says something only where both verdicts are common.
  EXPECT_GT(accepted, kMutants / 20);
  EXPECT_GT(refused, kMutants / 2);
  EXPECT_LT(stricter, kMutants / 20);
}

}  // namespace
}  // namespace moelora::io
