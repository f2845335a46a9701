#include "io/pickle.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

constexpr int kDeepest = 8;  // nesting of tuples: a tensor's arguments need 3
constexpr size_t kDimensions = 8;
// Memory stays within a small multiple of the pickle's size; real ones have 8,000 tensors of 300 bytes each.
constexpr size_t kLongestText = 512;
constexpr size_t kLargestStack = 20000;  // torch.save sets items by the thousand
constexpr size_t kLargestMemo = 1000000;
constexpr int64_t kLargest = int64_t{1} << 48;  // of any size, stride or offset

/// What stands on the stack. Tuples share their parts, which are never changed; a dictionary holds tensors alone, so
/// nothing refers to itself.
struct Value {
  enum class Kind { kNone, kBool, kInt, kText, kGlobal, kMark, kTuple, kDict, kStorage, kTensor };
  Kind kind = Kind::kNone;
  int64_t number = 0;  // also a storage's elements
  std::string text;    // also a global's "module name", a storage's key
  std::string dtype;   // of a storage
  int depth = 0;
  std::shared_ptr<const std::vector<Value>> parts;                // of a tuple
  std::shared_ptr<std::map<std::string, PickledTensor>> entries;  // of a dictionary
  std::shared_ptr<const PickledTensor> tensor;
};
using Kind = Value::Kind;

const std::set<std::string, std::less<>>& known_globals() {
  static const std::set<std::string, std::less<>> known = {"collections OrderedDict",
                                                           "torch._utils _rebuild_tensor_v2",
                                                           "torch._utils _rebuild_parameter",
                                                           "torch FloatStorage",
                                                           "torch HalfStorage",
                                                           "torch BFloat16Storage",
                                                           "torch DoubleStorage"};
  return known;
}

class Machine {
 public:
  Machine(std::string_view pickle, const std::string& where) : rest_(pickle), size_(pickle.size()), where_(where) {}

  std::map<std::string, PickledTensor> run() {
    while (step()) {
    }
    if (!rest_.empty()) fail("bytes follow the end of the pickle");
    if (stack_.size() != 1 || stack_[0].kind != Kind::kDict) fail("not a dictionary of tensors");
    return *stack_[0].entries;
  }

 private:
  [[noreturn]] void fail(const std::string& problem, const std::string& found = {}) const {
    throw Error(ErrorKind::kModel, {.where = where_ + ", byte " + std::to_string(size_ - rest_.size()),
                                    .problem = problem,
                                    .found = found,
                                    .expected = "a dictionary of tensors, as torch.save writes a state dict"});
  }

  std::string_view take(size_t count) {
    if (rest_.size() < count) fail("the pickle ends early");
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }
  /// Little-endian, up to eight bytes; the sign only where eight or `is_signed`.
  int64_t integer(size_t bytes, bool is_signed = false) {
    uint64_t value = 0;
    const std::string_view text = take(bytes);
    for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
    if (is_signed && bytes > 0 && bytes < 8 && (value >> (8 * bytes - 1)) != 0) value |= ~uint64_t{0} << (8 * bytes);
    return static_cast<int64_t>(value);
  }
  std::string_view line() {
    const size_t end = rest_.substr(0, 200).find('\n');
    if (end == std::string_view::npos) fail("a name without an end");
    const std::string_view text = take(end);
    take(1);
    return text;
  }

  void push(Value value) {
    if (stack_.size() >= kLargestStack) fail("too much on the stack");
    stack_.push_back(std::move(value));
  }
  Value pop() {
    if (stack_.empty() || stack_.back().kind == Kind::kMark) fail("an operation without its operand");
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  /// Everything above the last mark, which goes too.
  std::vector<Value> pop_to_mark() {
    size_t at = stack_.size();
    while (at > 0 && stack_[at - 1].kind != Kind::kMark) --at;
    if (at == 0) fail("no mark stands on the stack");
    std::vector<Value> values(std::make_move_iterator(stack_.begin() + static_cast<std::ptrdiff_t>(at)),
                              std::make_move_iterator(stack_.end()));
    stack_.resize(at - 1);
    return values;
  }

  void push_tuple(std::vector<Value> parts) {
    int depth = 1;
    for (const Value& part : parts) depth = std::max(depth, part.depth + 1);
    if (depth > kDeepest) fail("tuples within tuples, too deep");
    push({.kind = Kind::kTuple, .depth = depth, .parts = std::make_shared<const std::vector<Value>>(std::move(parts))});
  }
  void push_tuple_of(size_t count) {
    std::vector<Value> parts(count);
    for (size_t i = count; i > 0; --i) parts[i - 1] = pop();
    push_tuple(std::move(parts));
  }

  void global(std::string name) {
    if (!known_globals().contains(name)) {
      fail("the pickle asks for something that isn't part of a tensor; it is not run", quote_name(name));
    }
    push({.kind = Kind::kGlobal, .text = std::move(name)});
  }

  void set_items(const std::vector<Value>& items) {
    if (stack_.empty() || stack_.back().kind != Kind::kDict) fail("items for something that isn't a dictionary");
    if (items.size() % 2 != 0) fail("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2) {
      if (items[i].kind != Kind::kText) fail("a key that is no text");
      if (items[i + 1].kind != Kind::kTensor) fail("a value that is no tensor", quote_name(items[i].text));
      if (!stack_.back().entries->emplace(items[i].text, *items[i + 1].tensor).second) {
        fail("a key twice", quote_name(items[i].text));
      }
    }
  }
  void push_dict() { push({.kind = Kind::kDict, .entries = std::make_shared<std::map<std::string, PickledTensor>>()}); }

  const Value& part(const Value& tuple, size_t index, Kind kind) const {
    if (tuple.kind != Kind::kTuple || tuple.parts->size() <= index || (*tuple.parts)[index].kind != kind) {
      fail("not the arguments of a tensor");
    }
    return (*tuple.parts)[index];
  }
  std::vector<int64_t> counts(const Value& tuple) const {
    std::vector<int64_t> values;
    for (size_t i = 0; i < tuple.parts->size(); ++i) {
      values.push_back(part(tuple, i, Kind::kInt).number);
      if (values.back() < 0 || values.back() > kLargest) fail("a tensor of an impossible shape");
    }
    if (values.size() > kDimensions) fail("a tensor of too many dimensions");
    return values;
  }

  /// ("storage", <class>, key, location, elements)
  void persistent_load() {
    const Value id = pop();
    if (part(id, 0, Kind::kText).text != "storage" || id.parts->size() != 5) fail("not a storage");
    const std::string& name = part(id, 1, Kind::kGlobal).text;
    if (!name.starts_with("torch ") || !name.ends_with("Storage")) fail("not a storage", quote_name(name));
    part(id, 3, Kind::kText);
    const int64_t numel = part(id, 4, Kind::kInt).number;
    if (numel < 0 || numel > kLargest) fail("a storage of an impossible size");
    push({.kind = Kind::kStorage, .number = numel, .text = part(id, 2, Kind::kText).text, .dtype = name.substr(6)});
  }

  /// _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, backward hooks)
  Value tensor(const Value& arguments) const {
    const Value& storage = part(arguments, 0, Kind::kStorage);
    PickledTensor tensor{.dtype = storage.dtype, .storage = storage.text, .storage_numel = storage.number};
    tensor.offset = part(arguments, 1, Kind::kInt).number;
    tensor.sizes = counts(part(arguments, 2, Kind::kTuple));
    tensor.strides = counts(part(arguments, 3, Kind::kTuple));
    if (tensor.offset < 0 || tensor.offset > kLargest || tensor.strides.size() != tensor.sizes.size()) {
      fail("a tensor of an impossible shape");
    }
    // One past the view's last element; 128 bits hold it, and the product of the sizes kept within the storage too.
    __extension__ using Wide = unsigned __int128;
    Wide elements = 1, last = static_cast<Wide>(tensor.offset);
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      const auto size = static_cast<Wide>(tensor.sizes[i]);
      elements *= size;
      if (size > static_cast<Wide>(tensor.storage_numel)) fail("a tensor that reaches beyond its storage");
      if (elements > static_cast<Wide>(tensor.storage_numel)) break;
      if (size > 0) last += (size - 1) * static_cast<Wide>(tensor.strides[i]);
    }
    if (elements > static_cast<Wide>(tensor.storage_numel) ||
        (elements > 0 && last >= static_cast<Wide>(tensor.storage_numel))) {
      fail("a tensor that reaches beyond its storage");
    }
    return {.kind = Kind::kTensor, .tensor = std::make_shared<const PickledTensor>(std::move(tensor))};
  }

  void reduce() {
    const Value arguments = pop();
    const Value callee = pop();
    if (callee.kind != Kind::kGlobal || arguments.kind != Kind::kTuple) fail("a call that isn't part of a tensor");
    if (callee.text == "torch._utils _rebuild_tensor_v2") {
      push(tensor(arguments));
    } else if (callee.text == "torch._utils _rebuild_parameter") {
      push(part(arguments, 0, Kind::kTensor));
    } else if (callee.text == "collections OrderedDict" && arguments.parts->empty()) {
      push_dict();
    } else {
      fail("a call that isn't part of a tensor", quote_name(callee.text));
    }
  }

  void remember(int64_t index) {
    if (stack_.empty() || stack_.back().kind == Kind::kMark) fail("nothing to remember");
    if (memo_.size() >= kLargestMemo) fail("too much to remember");
    memo_[index] = stack_.back();
  }
  void recall(int64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("something that was never remembered");
    push(found->second);
  }
  void push_text(size_t length) {
    if (length > kLongestText) fail("a text that is too long for a tensor's name", std::to_string(length) + " bytes");
    push({.kind = Kind::kText, .text = std::string(take(length))});
  }

  bool step() {
    const char op = take(1)[0];
    switch (op) {
      case '\x80':  // PROTO
        if (const int64_t protocol = integer(1); protocol < 2 || protocol > 4) {
          fail("a pickle of another protocol", std::to_string(protocol));
        }
        break;
      case '\x95':
        integer(8);
        break;  // FRAME: its length is a hint
      case '.':
        return false;
      case '(':
        push({.kind = Kind::kMark});
        break;
      case 'N':
        push({});
        break;
      case '\x88':
      case '\x89':
        push({.kind = Kind::kBool, .number = op == '\x88'});
        break;
      case 'K':
        push({.kind = Kind::kInt, .number = integer(1)});
        break;
      case 'M':
        push({.kind = Kind::kInt, .number = integer(2)});
        break;
      case 'J':
        push({.kind = Kind::kInt, .number = integer(4, true)});
        break;
      case '\x8a': {  // LONG1
        const int64_t bytes = integer(1);
        if (bytes > 8) fail("a number that is too large");
        push({.kind = Kind::kInt, .number = integer(static_cast<size_t>(bytes), true)});
        break;
      }
      case 'X':
        push_text(static_cast<size_t>(integer(4)));
        break;
      case '\x8c':
        push_text(static_cast<size_t>(integer(1)));
        break;
      case 'c': {
        const std::string module(line());
        global(module + " " + std::string(line()));
        break;
      }
      case '\x93': {  // STACK_GLOBAL
        const Value name = pop(), module = pop();
        if (name.kind != Kind::kText || module.kind != Kind::kText) fail("a name that is no text");
        global(module.text + " " + name.text);
        break;
      }
      case ')':
        push_tuple({});
        break;
      case '\x85':
      case '\x86':
      case '\x87':
        push_tuple_of(static_cast<size_t>(static_cast<unsigned char>(op) - 0x84));
        break;
      case 't':
        push_tuple(pop_to_mark());
        break;
      case '}':
        push_dict();
        break;
      case 's': {
        std::vector<Value> item(2);
        item[1] = pop();
        item[0] = pop();
        set_items(item);
        break;
      }
      case 'u':
        set_items(pop_to_mark());
        break;
      case 'Q':
        persistent_load();
        break;
      case 'R':
        reduce();
        break;
      case 'q':
        remember(integer(1));
        break;
      case 'r':
        remember(integer(4));
        break;
      case '\x94':
        remember(static_cast<int64_t>(memo_.size()));
        break;
      case 'h':
        recall(integer(1));
        break;
      case 'j':
        recall(integer(4));
        break;
      default:
        fail("an operation that no dictionary of tensors needs", quote_name(std::string(1, op)));
    }
    return true;
  }

  std::string_view rest_;
  size_t size_;
  const std::string& where_;
  std::vector<Value> stack_;
  std::map<int64_t, Value> memo_;
};

}  // namespace

std::map<std::string, PickledTensor> read_pickled_tensors(std::string_view pickle, const std::string& where) {
  return Machine(pickle, where).run();
}

}  // namespace moelora::io
