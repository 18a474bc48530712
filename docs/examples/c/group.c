// Reads three events as a member of the group "billing", and commits them: of a broker, HOST:PORT, or in a directory, dir:PATH.
#include <flowstone/flowstone.h>

#include <stdio.h>

static flowstone_error error;

static int complain(void) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
}

int main(int argc, char** argv) {
    const flowstone_consumer_options options = {.size = sizeof options, .group = flowstone_text("billing")};
    const flowstone_bytes topic = flowstone_text("payments");
    flowstone_client* client = NULL;
    flowstone_consumer* consumer = NULL;

    if (flowstone_client_open(flowstone_text(argc > 1 ? argv[1] : "127.0.0.1:9092"), NULL, &client, &error) ||
        flowstone_client_consumer(client, &options, &consumer, &error) ||
        flowstone_consumer_subscribe(consumer, &topic, 1, &error)) { return complain(); }
    for (int left = 3; left > 0;) {
        flowstone_view record;
        flowstone_change change;
        size_t count = 0;
        if (flowstone_consumer_poll(consumer, &record, 1, 30000, NULL, &count, &error) ||
            flowstone_consumer_change(consumer, &change, &error)) { return complain(); }
        if (count == 1) {
            printf("%lld %.*s\n", (long long)record.offset, (int)record.value.size, record.value.data);
            --left;
        }
        // They are another's after the next poll, who reads on behind this.
        if (change.kind == FLOWSTONE_CHANGE_REVOKED && flowstone_consumer_commit(consumer, 30000, &error)) {
            fprintf(stderr, "to be read again: %s\n", error.message);
        }
    }
    if (flowstone_consumer_commit(consumer, 30000, &error)) { return complain(); }
    if (flowstone_consumer_close(consumer, 30000, &error)) { return complain(); }
    return flowstone_client_close(client, 30000, &error) ? complain() : 0;
}
