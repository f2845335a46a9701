#include "data/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>

#include "core/error.h"
#include "core/file_system.h"
#include "core/hash.h"
#include "data/file_name.h"

namespace moelora::data {
namespace {

constexpr size_t kChunkBytes = 1 << 18;

class PlainBytes : public ByteSource {
 public:
  explicit PlainBytes(const std::filesystem::path& path)
      : path_(path), file_(std::fopen(path.c_str(), "rbe"), &std::fclose) {
    if (!file_) throw io_error(path_, "open", errno);
  }

  size_t read(std::span<char> bytes) override {
    errno = 0;
    const size_t size = std::fread(bytes.data(), 1, bytes.size(), file_.get());
    if (size < bytes.size() && std::ferror(file_.get())) throw io_error(path_, "read", errno ? errno : EIO);
    hasher_.update(std::string_view(bytes.data(), size));
    return size;
  }

  std::string hash() const override { return hasher_.hex(); }

 private:
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  Hasher hasher_;
};

/// What gzip and zstd share: a chunk of the file, and how one that is damaged is refused.
class Decompressed : public ByteSource {
 public:
  explicit Decompressed(const std::filesystem::path& path) : path_(path), file_(path) { chunk_.resize(kChunkBytes); }

  std::string hash() const override { return file_.hash(); }

 protected:
  /// Whether unread compressed bytes are there, after reading more where none are.
  bool more() {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = file_.read(chunk_);
    }
    return begin_ < end_;
  }

  [[noreturn]] void refuse(const std::string& problem, const std::string& expected = "") const {
    throw Error(ErrorKind::kData, {path_.string(), problem, "", expected});
  }

  std::filesystem::path path_;
  PlainBytes file_;
  std::string chunk_;
  size_t begin_ = 0, end_ = 0;
};

class GzipBytes : public Decompressed {
 public:
  explicit GzipBytes(const std::filesystem::path& path) : Decompressed(path) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK)
      throw Error(ErrorKind::kInternal, {path.string(), "zlib can't start"});
  }
  ~GzipBytes() override { inflateEnd(&stream_); }

  size_t read(std::span<char> bytes) override {
    stream_.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_out = static_cast<uInt>(bytes.size());
    while (stream_.avail_out == bytes.size()) {
      if (!more()) {
        if (!between_members_) refuse("the gzip data end too early: the file is cut short");
        break;
      }
      if (between_members_) inflateReset(&stream_);
      between_members_ = false;
      stream_.next_in = reinterpret_cast<Bytef*>(chunk_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      if (result == Z_STREAM_END) {
        between_members_ = true;  // another may follow, as `cat a.gz b.gz` makes them
        any_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        refuse(any_ ? "something that isn't gzip data follows the gzip data" : "not gzip data, or damaged ones");
      }
    }
    return bytes.size() - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool between_members_ = false;
  bool any_ = false;
};

class ZstdBytes : public Decompressed {
 public:
  explicit ZstdBytes(const std::filesystem::path& path)
      : Decompressed(path), stream_(ZSTD_createDStream(), &ZSTD_freeDStream) {
    if (!stream_) throw Error(ErrorKind::kInternal, {path.string(), "zstd can't start"});
  }

  size_t read(std::span<char> bytes) override {
    ZSTD_outBuffer out{bytes.data(), bytes.size(), 0};
    while (out.pos == 0) {
      // With the input used up, what the decoder still holds must come out before more is read.
      if (!flushing_ && !more()) {
        if (!between_frames_) refuse("the zstd data end too early: the file is cut short");
        break;
      }
      ZSTD_inBuffer in{chunk_.data() + begin_, end_ - begin_, 0};
      const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
      begin_ += in.pos;
      if (ZSTD_isError(result)) refuse(std::string("not zstd data, or damaged ones: ") + ZSTD_getErrorName(result));
      between_frames_ = result == 0;
      flushing_ = !between_frames_ && out.pos == out.size;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  bool between_frames_ = false;
  bool flushing_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const std::filesystem::path& path) {
  switch (parse_data_file_name(path).compression) {
    case Compression::kGzip:
      return std::make_unique<GzipBytes>(path);
    case Compression::kZstd:
      return std::make_unique<ZstdBytes>(path);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainBytes>(path);
}

}  // namespace moelora::data
