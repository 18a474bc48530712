// Any bytes as requests of HTTP: each is answered once, and how the bytes are cut on their way makes no difference.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "net/http/http_connection.h"
#include "storage/check.h"

namespace flowstone {
namespace {

struct Served {
    HttpConnection connection{0};
    std::string sent;

    void receive(Bytes bytes) {
        connection.receive(bytes, 0);
        while (true) {
            if (auto request = connection.next_request(0)) {
                CHECK(request->path.starts_with('/'));
                connection.answer({.body = request->path + "|" + request->query + "|" + request->accept}, 0);
            }
            if (connection.output().empty()) { return; }
            sent += connection.output();
            connection.sent(connection.output().size(), 0);
        }
    }
};

}  // namespace
}  // namespace flowstone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace flowstone;
    if (size == 0) { return 0; }
    const Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
    const size_t step = 1 + data[0];
    Served whole;
    whole.receive(bytes);
    Served cut;
    for (size_t at = 0; at < bytes.size(); at += step) {
        cut.receive(bytes.subspan(at, std::min(step, bytes.size() - at)));
    }
    // Above the bound for a request more may have come at once than is looked at.
    if (bytes.size() < http_header_bytes_max) {
        CHECK(cut.sent == whole.sent);
        CHECK(cut.connection.should_close() == whole.connection.should_close());
    }
    return 0;
}
