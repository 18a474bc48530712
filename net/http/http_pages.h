// What is served by HTTP: paths, each with what makes its answer. Pure; pages are called in the thread that answers.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "net/http/http_connection.h"

namespace flowstone {

class HttpPages {
public:
    using Page = std::function<HttpAnswer(const HttpRequest&)>;

    // `path` as it stands in a request, such as "/metrics". Not twice.
    void add(std::string path, Page page);
    // 404 for a path without a page; it lists those that there are.
    HttpAnswer answer(const HttpRequest& request) const;

private:
    std::map<std::string, Page> pages_;
};

}  // namespace flowstone
