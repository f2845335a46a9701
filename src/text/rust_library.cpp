#include "text/rust_library.h"

namespace moelora::text::internal {

Bytes::~Bytes() {
  if (bytes_.data != nullptr) moelora_bytes_release(bytes_);
}

Ids::~Ids() {
  if (ids_.data != nullptr) moelora_ids_release(ids_);
}

ErrorKind kind_of(MoeloraStatus status) {
  switch (status) {
    case MOELORA_INVALID_UTF8:
    case MOELORA_RAISED:
      return ErrorKind::kData;
    case MOELORA_BAD_SOURCE:
    case MOELORA_TEMPLATE_FAILED:
      return ErrorKind::kModel;
    case MOELORA_LIMIT:
      return ErrorKind::kLimit;
    case MOELORA_OK:
    case MOELORA_BAD_ARGUMENT:
    case MOELORA_INTERNAL:
      break;
  }
  return ErrorKind::kInternal;
}

}  // namespace moelora::text::internal
