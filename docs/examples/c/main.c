// Sends three events to a log and reads them back: of a broker, HOST:PORT, or in a directory, dir:PATH.
#include <flowstone/flowstone.h>

#include <stdio.h>

static flowstone_error error;

static int complain(void) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
}

int main(int argc, char** argv) {
    const char* events[] = {"12.50 EUR", "3.99 EUR", "-12.50 EUR"};
    const flowstone_topic_options exists_ok = {.size = sizeof exists_ok, .exists_ok = 1};
    const flowstone_topic_partition payments = {.topic = flowstone_text("payments"), .partition = 0};
    flowstone_client* client = NULL;
    flowstone_producer* producer = NULL;
    flowstone_producer_topic* topic = NULL;
    flowstone_consumer* consumer = NULL;

    if (flowstone_client_open(flowstone_text(argc > 1 ? argv[1] : "127.0.0.1:9092"), NULL, &client, &error) ||
        flowstone_client_create_topic(client, payments.topic, &exists_ok, 30000, &error) ||
        flowstone_client_producer(client, NULL, &producer, &error) ||
        flowstone_producer_open_topic(producer, payments.topic, 30000, &topic, &error)) { return complain(); }
    for (int i = 0; i < 3; ++i) {
        const flowstone_record record = {.key = flowstone_text("card 7"), .value = flowstone_text(events[i])};
        if (flowstone_producer_topic_send(topic, &record, payments.partition, NULL, &error)) { return complain(); }
    }
    if (flowstone_producer_flush(producer, 30000, &error)) { return complain(); }  // acknowledged, every one

    if (flowstone_client_consumer(client, NULL, &consumer, &error) ||
        flowstone_consumer_assign(consumer, &payments, 1, (flowstone_from){0}, &error)) { return complain(); }
    for (size_t all = 0, count = 0; all < 3; all += count) {
        flowstone_view records[64];
        if (flowstone_consumer_poll(consumer, records, 64, 30000, NULL, &count, &error)) { return complain(); }
        for (size_t i = 0; i < count; ++i) {
            printf("%lld %.*s\n", (long long)records[i].offset, (int)records[i].value.size, records[i].value.data);
        }
    }
    flowstone_consumer_free(consumer);
    flowstone_producer_topic_free(topic);
    flowstone_producer_free(producer);
    return flowstone_client_close(client, 30000, &error) ? complain() : 0;
}
