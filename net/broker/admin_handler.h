// Producer ids, configs, and what operators ask. Threads: the broker's one.
#pragma once

#include "net/broker/request.h"
#include "net/kafka/messages/init_producer_id.h"

namespace flowstone {

class AdminHandler {
public:
    explicit AdminHandler(BrokerContext& context) : context_(context) {}

    void on(Request request, const kafka::InitProducerIdRequest& asked);

private:
    BrokerContext& context_;
};

}  // namespace flowstone
