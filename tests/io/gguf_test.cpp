#include "io/gguf.h"

#include <cstring>

#include "core/random.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string text_of(const GgufFile& file) {
  std::string text;
  write_gguf(file, [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return text;
}

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6}, kFour = {7, 8, 9, 10};

GgufFile small_file() {
  return {.keys = {{"general.architecture", "llama"}, {"adapter.lora.alpha", 2.0f}},
          .tensors = {{.name = "blk.0.attn_q.weight.lora_a", .ne = {3, 2}, .data = std::as_bytes(std::span(kSix))},
                      {.name = "blk.0.attn_q.weight.lora_b", .ne = {2, 2}, .data = std::as_bytes(std::span(kFour))}}};
}

TEST(Gguf, BytesAreThoseOfTheFormat) {
  const std::string text = text_of(small_file());
  EXPECT_EQ(text.substr(0, 8), std::string("GGUF\x03\0\0\0", 8));
  EXPECT_EQ(text.substr(8, 16), std::string("\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16));
  // The first key: its length, name, type 6 (float32), 2.0.
  EXPECT_EQ(text.substr(24, 8 + 18 + 8), std::string("\x12\0\0\0\0\0\0\0adapter.lora.alpha\x06\0\0\0\0\0\0\x40", 34));
  EXPECT_EQ(text.size() % 32, 0u);
  // Six floats, padded to 32 bytes; then four, padded.
  EXPECT_EQ(std::memcmp(text.data() + text.size() - 64, kSix.data(), 24), 0);
  EXPECT_EQ(std::memcmp(text.data() + text.size() - 32, kFour.data(), 16), 0);
}

TEST(Gguf, ComesBackAsItWas) {
  const std::string text = text_of(small_file());
  const GgufFile file = parse_gguf(bytes_of(text), "a.gguf");
  EXPECT_EQ(file.keys, small_file().keys);
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].ne, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(std::memcmp(file.tensors[1].data.data(), kFour.data(), 16), 0);
}

TEST(Gguf, EveryCutIsRefusedByName) {
  const std::string text = text_of(small_file());
  for (size_t size = 0; size < text.size(); ++size) {
    // Only the padding behind the last tensor can be missing.
    if (size >= text.size() - 16) continue;
    EXPECT_THAT(model_error([&] { parse_gguf(bytes_of(text.substr(0, size)), "a.gguf"); }), HasSubstr("a.gguf"))
        << size;
  }
}

TEST(Gguf, HostileFieldsAreRefused) {
  const std::string good = text_of(small_file());
  const auto with = [&](size_t position, const std::string& bytes) {
    std::string text = good;
    text.replace(position, bytes.size(), bytes);
    return model_error([&] { parse_gguf(bytes_of(text), "a.gguf"); });
  };
  const std::string huge(8, '\xff');
  const size_t first = good.find("blk.0.attn_q.weight.lora_a"), second = good.find("blk.0.attn_q.weight.lora_b");
  const size_t after = first + 26;  // dimensions, two sizes, type, offset
  EXPECT_THAT(with(0, "GGML"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(with(4, "\x02"), HasSubstr("another GGUF version"));
  EXPECT_THAT(with(8, huge), HasSubstr("a.gguf"));
  EXPECT_THAT(with(16, huge), HasSubstr("a.gguf"));
  EXPECT_THAT(with(24, huge), HasSubstr("cut short"));
  EXPECT_THAT(with(24 + 8 + 18, "\x09"), AllOf(HasSubstr("`adapter.lora.alpha`"), HasSubstr("its type")));
  EXPECT_THAT(with(after, "\x05"), AllOf(HasSubstr("lora_a"), HasSubstr("dimensions")));
  EXPECT_THAT(with(after + 4, huge), AllOf(HasSubstr("lora_a"), HasSubstr("sizes")));
  EXPECT_THAT(with(after + 4, std::string("\0\0\0\0\0\0\0\x40", 8)), HasSubstr("sizes"));
  EXPECT_THAT(with(after + 4, std::string(8, '\0')), HasSubstr("sizes"));
  EXPECT_THAT(with(after + 4 + 16, "\x01"), AllOf(HasSubstr("lora_a"), HasSubstr("F32")));
  EXPECT_THAT(with(after + 4 + 16 + 4, "\x20"), HasSubstr("offset"));
  EXPECT_THAT(with(second + 25, "a"), HasSubstr("it is there twice"));
  EXPECT_THAT(with(first, "\xff"), HasSubstr("UTF-8"));
}

TEST(Gguf, MutantsAreRefusedOrHaveSizesWithinTheFile) {
  const std::string good = text_of(small_file());
  Random random(3, RandomStream::kData);
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (int edit = 0; edit < 3; ++edit) text[random.below(text.size() - 64)] = static_cast<char>(random.below(256));
    try {
      const GgufFile file = parse_gguf(bytes_of(text), "a.gguf");
      for (const GgufTensor& tensor : file.tensors) EXPECT_LE(tensor.data.size(), text.size());
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kModel);
    }
  }
}

}  // namespace
}  // namespace moelora::io
