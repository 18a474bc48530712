#include "net/broker/request.h"

#include "net/broker/broker_metrics.h"

namespace flowstone {

void BrokerContext::send(const Request& request, Answer answer) {
    metrics.answered(request.header.api_key, clock.monotonic_ns() - request.received_ns);
    server.answer(request.slot, std::move(answer));
}

}  // namespace flowstone
