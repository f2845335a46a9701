#include "io/safetensors.h"

#include <numeric>

#include "io/safetensors_description.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

struct Contents {
  std::vector<TensorInfo> infos;
  std::vector<std::string> bytes;

  std::string written(const StringMap& metadata) const {
    std::vector<std::span<const std::byte>> spans;
    for (const std::string& text : bytes) spans.push_back(bytes_of(text));
    std::string file;
    write_safetensors(infos, spans, metadata, [&](std::span<const std::byte> part) {
      file.append(reinterpret_cast<const char*>(part.data()), part.size());
    });
    return file;
  }
};

/// The tensors of oracle.py's `every-dtype`.
Contents every_dtype() {
  Contents contents;
  for (int index = 0; index <= static_cast<int>(Dtype::kU64); ++index) {
    const auto dtype = static_cast<Dtype>(index);
    std::string bytes;
    for (int64_t k = 0; k < 6 * dtype_bytes(dtype); ++k) {
      bytes += static_cast<char>(dtype == Dtype::kBool ? k % 2 : (37 * k + 11 * index + 5) % 256);
    }
    contents.infos.push_back({"t." + std::string(dtype_name(dtype)), dtype, {2, 3}});
    contents.bytes.push_back(bytes);
  }
  contents.infos.push_back({"层.\"权重\"\t\\\x01/\x7f", Dtype::kU8, {}});
  contents.bytes.push_back("\x07");
  contents.infos.push_back({"empty", Dtype::kF32, {0, 5}});
  contents.bytes.push_back("");
  return contents;
}

TEST(Safetensors, WritesTheReferenceLibrarysFileByteForByte) {
  const TestDirectory directory;
  oracle({"every-dtype", (directory / "theirs").string()});
  EXPECT_EQ(every_dtype().written({{"format", "pt"}}), read_text(directory / "theirs"));
}

TEST(Safetensors, ReadsTheReferenceLibrarysFileOfEveryDtype) {
  const TestDirectory directory;
  oracle({"every-dtype", (directory / "theirs").string()});
  const auto file = SafetensorsFile::open(directory / "theirs");
  const Contents expected = every_dtype();
  ASSERT_EQ(file->names().size(), expected.infos.size());
  for (size_t i = 0; i < expected.infos.size(); ++i) {
    const StoredTensor& tensor = file->at(expected.infos[i].name);
    EXPECT_EQ(tensor.dtype, expected.infos[i].dtype);
    EXPECT_EQ(tensor.shape, expected.infos[i].shape);
    EXPECT_EQ(hex_of(tensor.bytes), hex_of(bytes_of(expected.bytes[i]))) << expected.infos[i].name;
  }
  EXPECT_EQ(file->metadata(), (StringMap{{"format", "pt"}}));
}

TEST(Safetensors, TheReferenceLibraryReadsMetadataAndTensorsWeWrite) {
  const TestDirectory directory;
  const std::string bytes = every_dtype().written({{"b", "\"quoted\" 值\n"}, {"a", ""}});
  EXPECT_EQ(oracle_descriptions({bytes}).front(), description(*SafetensorsFile::parse(bytes_of(bytes), "ours")));
  write_text(directory / "ours", bytes);
  EXPECT_EQ(oracle({"metadata", (directory / "ours").string()}),
            "{\"a\": \"\", \"b\": \"\\\"quoted\\\" \\u503c\\n\"}\n");
}

TEST(Safetensors, DataAndEveryElementAreAligned) {
  const std::string bytes = every_dtype().written({{"k", "v"}});
  const auto file = SafetensorsFile::parse(bytes_of(bytes), "ours");
  for (const std::string& name : file->names()) {
    const StoredTensor& tensor = file->at(name);
    const auto offset = reinterpret_cast<const char*>(tensor.bytes.data()) - bytes.data();
    EXPECT_EQ(offset % dtype_bytes(tensor.dtype), 0) << name;
  }
  EXPECT_EQ(SafetensorsFile::parse(bytes_of(bytes), "")->names().front(), "t.U64");
}

TEST(Safetensors, NamesComeInTheOrderOfTheirBytes) {
  const std::string bytes = safetensors_bytes(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      "xy");
  const auto file = SafetensorsFile::parse(bytes_of(bytes), "f");
  EXPECT_EQ(file->names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(hex_of(file->at("a").bytes), "79");
}

TEST(Safetensors, AFileWithoutTensorsIsValid) {
  const std::string bytes = safetensors_bytes("{}  \n");
  EXPECT_TRUE(SafetensorsFile::parse(bytes_of(bytes), "f")->names().empty());
  EXPECT_EQ(Contents{}.written({}), safetensors_bytes("{}      "));
}

TEST(Safetensors, AMissingTensorIsNamedWithTheNearestOne) {
  const std::string bytes = safetensors_bytes(R"({"weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
  const auto file = SafetensorsFile::parse(bytes_of(bytes), "dir/f.safetensors");
  EXPECT_EQ(file->find("wieght"), nullptr);
  const std::string message = model_error([&] { file->at("wieght"); });
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("dir/f.safetensors"), testing::HasSubstr("`wieght`"),
                                      testing::HasSubstr("did you mean `weight`")));
}

TEST(Safetensors, AMissingFileADirectoryAndAFifoAreRefused) {
  const TestDirectory directory;
  EXPECT_THAT(model_error([&] { SafetensorsFile::open(directory / "none"); }), testing::HasSubstr("No such file"));
  EXPECT_THAT(model_error([&] { SafetensorsFile::open(directory.path()); }), testing::HasSubstr("not a regular file"));
  ASSERT_EQ(std::system(("mkfifo '" + (directory / "fifo").string() + "'").c_str()), 0);
  EXPECT_THAT(model_error([&] { SafetensorsFile::open(directory / "fifo"); }),
              testing::HasSubstr("not a regular file"));
}

TEST(Safetensors, ALongAndUnprintableNameIsShortenedAndEscapedInMessages) {
  const std::string name(100'000, 'n');
  const std::string bytes =
      safetensors_bytes("{\"\\u001b[2J" + name + "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}", "x");
  const std::string message = model_error([&] { SafetensorsFile::parse(bytes_of(bytes), "f"); });
  EXPECT_LT(message.size(), 500);
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("\\x1b[2Jnnn"), testing::Not(testing::HasSubstr("\x1b"))));
}

TEST(Safetensors, WritingRefusesDuplicateReservedAndMisfittingTensors) {
  const auto refuses = [](Contents contents) {
    try {
      contents.written({});
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kInternal;
    }
    return false;
  };
  EXPECT_TRUE(refuses({{{"a", Dtype::kU8, {1}}, {"a", Dtype::kU8, {1}}}, {"x", "y"}}));
  EXPECT_TRUE(refuses({{{"__metadata__", Dtype::kU8, {1}}}, {"x"}}));
  EXPECT_TRUE(refuses({{{"a", Dtype::kF32, {1}}}, {"xyz"}}));
  EXPECT_TRUE(refuses({{{"a", Dtype::kF32, {1}}}, {}}));
  EXPECT_FALSE(refuses({{{"a", Dtype::kF32, {1}}}, {"wxyz"}}));
}

}  // namespace
}  // namespace moelora::io
