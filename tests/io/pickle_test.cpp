// What torch.save writes is read; what is anything else is refused where it stands, and nothing of it happens.
#include "io/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace moelora::io {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

std::string text(const std::string& value) {
  std::string length(4, '\0');
  length[0] = static_cast<char>(value.size());
  return "X" + length + value;
}
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
std::string number(int value) {
  return "K"s + static_cast<char>(value);
}

struct Made {
  std::string key = "w";
  int numel = 6, offset = 0;
  std::string sizes = number(2) + number(3) + "\x86", strides = number(3) + number(1) + "\x86";
};

/// _rebuild_tensor_v2(persistent ("storage", FloatStorage, "0", "cpu", numel), offset, sizes, strides, False,
/// OrderedDict())
std::string tensor(const Made& made = {}) {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", "FloatStorage") +
         text("0") + text("cpu") + number(made.numel) + "tQ" + number(made.offset) + made.sizes + made.strides +
         "\x89" + global("collections", "OrderedDict") + ")RtR";
}
std::string dictionary(const std::string& items) {
  return "\x80\x02}(" + items + "u.";
}

std::string problem_of(const std::string& pickle) {
  try {
    read_pickled_tensors(pickle, "file");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    return error.what();
  }
  return "";
}

TEST(Pickle, GivesATensorAsItIsDescribed) {
  const auto tensors = read_pickled_tensors(dictionary(text("w") + tensor()), "file");
  ASSERT_EQ(tensors.size(), 1u);
  const PickledTensor& w = tensors.at("w");
  EXPECT_EQ(w.dtype, "FloatStorage");
  EXPECT_EQ(w.storage, "0");
  EXPECT_THAT(w.sizes, ElementsAre(2, 3));
  EXPECT_THAT(w.strides, ElementsAre(3, 1));
}

TEST(Pickle, RefusesToCallAnything) {
  EXPECT_THAT(problem_of(dictionary(text("w") + global("os", "system") + "(" + text("true") + "tR")),
              HasSubstr("os system"));
  EXPECT_THAT(problem_of("\x80\x02" + global("builtins", "eval") + "."), HasSubstr("isn't part of a tensor"));
  EXPECT_THAT(problem_of("\x80\x04"s + "\x8c\x02os\x8c\x06system\x93."), HasSubstr("os system"));
  // A class that is known, called otherwise than a tensor needs it; an instance; a state for one.
  EXPECT_THAT(problem_of("\x80\x02" + global("torch", "FloatStorage") + ")R."), HasSubstr("a call"));
  EXPECT_THAT(problem_of("\x80\x02" + global("collections", "OrderedDict") + "(" + number(1) + "tR."),
              HasSubstr("a call"));
  for (const char* op : {"\x81", "b", "o", "i", "\x82", "P0\n", "\x92"}) {
    EXPECT_THAT(problem_of("\x80\x02}"s + op + "."), HasSubstr("operation")) << op;
  }
}

TEST(Pickle, RefusesTensorsBeyondTheirStorage) {
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.numel = 5}))), HasSubstr("beyond its storage"));
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.offset = 1}))), HasSubstr("beyond its storage"));
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.strides = number(4) + number(1) + "\x86"}))),
              HasSubstr("beyond its storage"));
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.sizes = number(6) + "\x85"}))), HasSubstr("impossible shape"));
  const std::string huge = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"s;
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.sizes = huge + huge + "\x86"}))),
              HasSubstr("impossible shape"));
  const std::string negative = "J\xff\xff\xff\xff"s;
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor({.strides = negative + number(1) + "\x86"}))),
              HasSubstr("impossible shape"));
}

TEST(Pickle, RefusesWhatIsNoDictionaryOfTensors) {
  EXPECT_THAT(problem_of("\x80\x02N."), HasSubstr("not a dictionary"));
  EXPECT_THAT(problem_of(dictionary(text("w") + "N")), HasSubstr("no tensor"));
  EXPECT_THAT(problem_of(dictionary(number(1) + tensor())), HasSubstr("no text"));
  EXPECT_THAT(problem_of(dictionary(text("w"))), HasSubstr("without a value"));
  EXPECT_THAT(problem_of(dictionary(text("w") + tensor() + text("w") + tensor())), HasSubstr("twice"));
  EXPECT_THAT(problem_of("\x80\x02}}q\x01" + text("w") + "h\x01s."), HasSubstr("no tensor"));  // itself, or any other
  EXPECT_THAT(problem_of(dictionary("") + "x"), HasSubstr("follow the end"));
  EXPECT_THAT(problem_of("\x80\x05}."), HasSubstr("another protocol"));
}

TEST(Pickle, IsRefusedWhereverItIsCutOff) {
  const std::string whole = dictionary(text("w") + tensor());
  ASSERT_EQ(problem_of(whole), "");
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_NE(problem_of(whole.substr(0, length)), "") << length;
}

TEST(Pickle, HasBoundsOnWhatItKeeps) {
  EXPECT_THAT(problem_of("\x80\x02" + std::string(100000, 'N') + "."), HasSubstr("too much on the stack"));
  std::string nested = "\x80\x02)";
  for (int i = 0; i < 100; ++i) nested += "\x85";
  EXPECT_THAT(problem_of(nested + "."), HasSubstr("too deep"));
  EXPECT_THAT(problem_of("\x80\x02X\xff\xff\xff\x7f"), HasSubstr("too long"));
}

}  // namespace
}  // namespace moelora::io
