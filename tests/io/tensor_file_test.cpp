#include "io/tensor_file.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

std::filesystem::path write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors) {
  std::string bytes;
  write_tensors(tensors, {{"format", "pt"}}, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  return write_text(path, bytes);
}

bool is_inside(const at::Tensor& tensor, const SafetensorsFile& file) {
  const auto* address = static_cast<const std::byte*>(tensor.const_data_ptr());
  return address >= file.bytes().data() && address < file.bytes().data() + file.bytes().size();
}

TEST(TensorFile, EveryDtypeAndShapeComesBackAsItWas) {
  const TestDirectory directory;
  NamedTensors tensors;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble, at::kLong, at::kInt, at::kShort,
                                    at::kChar, at::kByte, at::kBool, at::kFloat8_e5m2, at::kFloat8_e4m3fn}) {
    tensors.emplace_back(c10::toString(type), at::arange(12).reshape({3, 4}).sub(type == at::kByte ? 0 : 5).to(type));
  }
  tensors.emplace_back("scalar", at::full({}, 2.5));
  tensors.emplace_back("empty", at::empty({0, 3}));
  const auto file = SafetensorsFile::open(write_tensor_file(directory / "f", tensors));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor read = tensor_of(file, name);
    EXPECT_EQ(read.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(read.sizes(), tensor.sizes()) << name;
    EXPECT_EQ(std::memcmp(read.const_data_ptr(), tensor.const_data_ptr(), tensor.nbytes()), 0) << name;
  }
}

TEST(TensorFile, StridedTensorsAreWrittenRowMajor) {
  const TestDirectory directory;
  const at::Tensor transposed = at::arange(6, at::kFloat).reshape({2, 3}).t();
  const auto file = SafetensorsFile::open(write_tensor_file(directory / "f", {{"t", transposed}}));
  EXPECT_TRUE(at::equal(tensor_of(file, "t"), transposed));
}

TEST(TensorFile, AlignedTensorsAreViewsThatKeepTheMappingAlive) {
  const TestDirectory directory;
  const auto path = write_tensor_file(directory / "f", {{"w", at::arange(4096, at::kFloat)}});
  auto file = SafetensorsFile::open(path);
  const std::weak_ptr<const SafetensorsFile> observer = file;
  at::Tensor view = tensor_of(file, "w", at::kFloat);
  EXPECT_TRUE(is_inside(view, *file));
  file.reset();
  std::filesystem::remove(path);
  EXPECT_FALSE(observer.expired());
  EXPECT_TRUE(at::equal(view, at::arange(4096, at::kFloat)));
  view = at::Tensor();
  EXPECT_TRUE(observer.expired());
}

/// One tensor whose data begin at `header_bytes` + 8, at no alignment.
std::string shifted(const std::string& dtype, size_t header_bytes, const at::Tensor& tensor) {
  std::string header = R"({"w":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(tensor.numel()) +
                       R"(],"data_offsets":[0,)" + std::to_string(tensor.nbytes()) + "]}}";
  header.resize(header_bytes, ' ');
  return safetensors_bytes(header, {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()});
}

TEST(TensorFile, MisalignedFloat32IsCopiedAndBfloat16MappedAtTwoBytes) {
  const TestDirectory directory;
  const at::Tensor values = at::arange(5, at::kFloat).add(0.5);
  for (const size_t header_bytes : {96, 97, 98, 99, 100}) {
    SCOPED_TRACE(header_bytes);
    const auto f32 = SafetensorsFile::open(write_text(directory / "f32", shifted("F32", header_bytes, values)));
    EXPECT_EQ(is_inside(tensor_of(f32, "w"), *f32), header_bytes % 4 == 0);
    EXPECT_TRUE(at::equal(tensor_of(f32, "w"), values));
    const at::Tensor halves = values.to(at::kBFloat16);
    const auto bf16 = SafetensorsFile::open(write_text(directory / "bf16", shifted("BF16", header_bytes, halves)));
    EXPECT_EQ(is_inside(tensor_of(bf16, "w"), *bf16), header_bytes % 2 == 0);
    EXPECT_TRUE(at::equal(tensor_of(bf16, "w"), halves));
    EXPECT_TRUE(at::equal(tensor_of(bf16, "w", at::kFloat), values));
    std::filesystem::remove(directory / "f32");
    std::filesystem::remove(directory / "bf16");
  }
}

TEST(TensorFile, ConversionsRoundToNearestEven) {
  const TestDirectory directory;
  // Halfway between two bf16 numbers (7 bits of fraction): to the even one. In f16, exact.
  const at::Tensor values = at::tensor({1.0f + 0x1p-8f, 1.0f + 0x3p-8f, -1.0f - 0x1p-8f, 1.0f + 0x1.01p-8f});
  const at::Tensor expected = at::tensor({1.0f, 1.0f + 0x4p-8f, -1.0f, 1.0f + 0x2p-8f});
  const auto file = SafetensorsFile::open(
      write_tensor_file(directory / "f", {{"f32", values}, {"f16", values.to(at::kHalf)}, {"i64", at::arange(3)}}));
  EXPECT_TRUE(at::equal(tensor_of(file, "f32", at::kBFloat16).to(at::kFloat), expected));
  EXPECT_TRUE(at::equal(tensor_of(file, "f16", at::kFloat).slice(0, 0, 3), values.slice(0, 0, 3)));
  EXPECT_THAT(model_error([&] { tensor_of(file, "i64", at::kFloat); }),
              testing::AllOf(HasSubstr("tensor `i64`"), HasSubstr("found I64")));
}

TEST(TensorFile, ADtypeWithoutATorchTypeIsRefusedByName) {
  const TestDirectory directory;
  const auto path = write_text(
      directory / "f", safetensors_bytes(R"({"w":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}})", "12345678"));
  const auto file = SafetensorsFile::open(path);
  EXPECT_THAT(model_error([&] { tensor_of(file, "w"); }), testing::AllOf(HasSubstr("tensor `w`"), HasSubstr("U64")));
}

}  // namespace
}  // namespace moelora::io
