#include "net/broker/admin_handler.h"

namespace flowstone {

using kafka::ErrorCode;

// Every answer is a fresh id, durable before it is told, also when the producer has one and asks for its next epoch: what
// Kafka does for producers without transactions.
void AdminHandler::on(Request request, const kafka::InitProducerIdRequest& asked) {
    kafka::InitProducerIdResponse response;
    response.producer_epoch = -1;
    if (asked.transactional_id) {
        // The one error that Java and librdkafka take as final.
        response.error_code = ErrorCode::transactional_id_authorization_failed;
    } else if (const auto id = context_.log.new_producer_id()) {
        response.producer_id = *id;
        response.producer_epoch = 0;
    } else {
        response.error_code = ErrorCode::coordinator_not_available;
    }
    context_.answer(request, response);
}

}  // namespace flowstone
