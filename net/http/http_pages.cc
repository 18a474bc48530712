#include "net/http/http_pages.h"

#include "storage/check.h"

namespace flowstone {

void HttpPages::add(std::string path, Page page) {
    CHECK(path.starts_with('/'));
    CHECK(pages_.emplace(std::move(path), std::move(page)).second);
}

HttpAnswer HttpPages::answer(const HttpRequest& request) const {
    const auto found = pages_.find(request.path);
    if (found != pages_.end()) { return found->second(request); }
    HttpAnswer answer = http_error(404);
    answer.body += "\nThere is:\n";
    for (const auto& [path, page] : pages_) { answer.body += path + "\n"; }
    return answer;
}

}  // namespace flowstone
