// A dataset_info.json, beside one file of rows. None of its entries leads out of their folder.
#include "data/dataset_info.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  write_file("rows.json", "[]");
  write_file(data::kDatasetInfoFile, input);
  for (const data::InfoEntry& entry : data::read_dataset_info(directory() / data::kDatasetInfoFile, "")) {
    const std::filesystem::path inside = entry.path.lexically_relative(directory());
    require(!inside.empty() && *inside.begin() != "..", "a file outside the folder");
    data::describe(entry.columns);
  }
}

}  // namespace moelora::fuzz
