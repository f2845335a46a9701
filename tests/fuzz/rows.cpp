// A file of rows. The first byte chooses the format: `0` detects it, `1` to `6` are those of data/formats.h in order;
// with its highest bit set answers are optional.

#include "data/formats.h"
#include "data/row_file.h"
#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  if (input.empty()) return;
  const size_t choice = static_cast<unsigned char>(input.front()) % (data::formats().size() + 1);
  data::RowFileOptions options{.group_key = "patient", .skip_bad = 1000};
  if (static_cast<unsigned char>(input.front()) >= 0x80) options.answers = data::Answers::kOptional;
  if (choice > 0) options.format = data::formats()[choice - 1].name;
  write_file("rows.jsonl", input.substr(1));
  const data::RowFile file = data::read_row_file(directory() / "rows.jsonl", options);
  require(!file.rows.empty() || !file.bad.empty(), "a file that was read to nothing");
  for (const data::Row& row : file.rows) {
    require(row.line > 0 && row.file != nullptr, "a row without a place");
  }
}

}  // namespace moelora::fuzz
