/* Adapter of librdkafka's C interface; scenario.py says what the commands are.
   Build: cc -std=gnu11 librdkafka.c -o librdkafka -lrdkafka */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS_MAX = 12, MEMBERS_MAX = 8, WAIT_MS = 10000 };

static const char* bootstrap;
static rd_kafka_t* admin;

struct Member {
    char name[32];
    rd_kafka_t* consumer;
};
static struct Member members[MEMBERS_MAX];

static bool fail(const char* what) {
    printf("error %s\n", what);
    return false;
}
static bool fail_code(rd_kafka_resp_err_t code) { return fail(rd_kafka_err2name(code)); }

/* Settings are name, value, ..., NULL. */
static rd_kafka_t* client(rd_kafka_type_t type, ...) {
    char problem[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
    va_list settings;
    va_start(settings, type);
    for (const char* name = va_arg(settings, const char*); name != NULL; name = va_arg(settings, const char*)) {
        if (rd_kafka_conf_set(conf, name, va_arg(settings, const char*), problem, sizeof problem) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "librdkafka: %s\n", problem);
            exit(2);
        }
    }
    va_end(settings);
    rd_kafka_t* made = rd_kafka_new(type, conf, problem, sizeof problem);
    if (made == NULL) {
        fprintf(stderr, "librdkafka: %s\n", problem);
        exit(2);
    }
    return made;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void print_record(const rd_kafka_message_t* message) {
    printf("= %d %lld %.*s\n", message->partition, (long long)message->offset, (int)message->key_len,
           (const char*)message->key);
}

/* --- topics and groups ------------------------------------------------------------------------------------------- */

/* Waits for the answer of an admin request and returns its first error. */
static rd_kafka_resp_err_t admin_answer(rd_kafka_queue_t* queue) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL) { return RD_KAFKA_RESP_ERR__TIMED_OUT; }
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t count = 0;
    if (error == 0 && rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT) {
        error = rd_kafka_topic_result_error(
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)[0]);
    } else if (error == 0 && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT) {
        error = rd_kafka_topic_result_error(
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)[0]);
    } else if (error == 0 && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETEGROUPS_RESULT) {
        const rd_kafka_error_t* refused = rd_kafka_group_result_error(
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count)[0]);
        if (refused != NULL) { error = rd_kafka_error_code(refused); }
    }
    rd_kafka_event_destroy(event);
    return error;
}

static bool create(char** words) {
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin);
    rd_kafka_NewTopic_t* topic = rd_kafka_NewTopic_new(words[1], atoi(words[2]), 1, NULL, 0);
    rd_kafka_CreateTopics(admin, &topic, 1, NULL, queue);
    const rd_kafka_resp_err_t error = admin_answer(queue);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    return error == 0 || fail_code(error);
}

static bool delete_topic(char** words) {
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin);
    rd_kafka_DeleteTopic_t* topic = rd_kafka_DeleteTopic_new(words[1]);
    rd_kafka_DeleteTopics(admin, &topic, 1, NULL, queue);
    const rd_kafka_resp_err_t error = admin_answer(queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    return error == 0 || fail_code(error);
}

static bool delete_group(char** words) {
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin);
    rd_kafka_DeleteGroup_t* group = rd_kafka_DeleteGroup_new(words[1]);
    rd_kafka_DeleteGroups(admin, &group, 1, NULL, queue);
    const rd_kafka_resp_err_t error = admin_answer(queue);
    rd_kafka_DeleteGroup_destroy(group);
    rd_kafka_queue_destroy(queue);
    return error == 0 || fail_code(error);
}

/* Names of all topics, or the number of partitions of one. */
static bool list_topics(const char* one) {
    const struct rd_kafka_metadata* metadata = NULL;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(admin, 1, NULL, &metadata, WAIT_MS);
    if (error != 0) { return fail_code(error); }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (one == NULL) { printf("= %s\n", metadata->topics[i].topic); }
        if (one != NULL && strcmp(one, metadata->topics[i].topic) == 0) {
            printf("= %d\n", metadata->topics[i].partition_cnt);
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return true;
}

static bool list_groups(void) {
    const struct rd_kafka_group_list* groups = NULL;
    const rd_kafka_resp_err_t error = rd_kafka_list_groups(admin, NULL, &groups, WAIT_MS);
    if (error != 0) { return fail_code(error); }
    for (int i = 0; i < groups->group_cnt; i++) { printf("= %s\n", groups->groups[i].group); }
    rd_kafka_group_list_destroy(groups);
    return true;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static int undelivered;
static void delivered(rd_kafka_t* producer, const rd_kafka_message_t* message, void* context) {
    (void)producer;
    (void)context;
    if (message->err != 0) { undelivered++; }
}

/* produce TOPIC PARTITIONS CODEC ACKS PREFIX COUNT TIME_MS */
static bool produce(char** words) {
    char problem[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
    rd_kafka_conf_set(conf, "compression.type", words[3], NULL, 0);
    rd_kafka_conf_set(conf, "acks", words[4], NULL, 0);
    rd_kafka_conf_set(conf, "linger.ms", "20", NULL, 0);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
    if (producer == NULL) { return fail(problem); }
    undelivered = 0;
    static char value[100];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < atoi(words[6]); i++) {
        char key[64];
        snprintf(key, sizeof key, "%s-%d", words[5], i);
        const rd_kafka_resp_err_t error = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(words[1]), RD_KAFKA_V_PARTITION(i % atoi(words[2])),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE(value, sizeof value), RD_KAFKA_V_TIMESTAMP(atoll(words[7]) + i), RD_KAFKA_V_END);
        if (error != 0) { undelivered++; }
    }
    const rd_kafka_resp_err_t flushed = rd_kafka_flush(producer, 2 * WAIT_MS);
    rd_kafka_destroy(producer);
    if (flushed != 0) { return fail_code(flushed); }
    return undelivered == 0 || fail("a record was not delivered");
}

/* read TOPIC PARTITIONS FROM_MS COUNT */
static bool read_records(char** words) {
    rd_kafka_t* consumer = client(RD_KAFKA_CONSUMER, "group.id", "reader", "enable.auto.commit", "false", NULL);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t* places = rd_kafka_topic_partition_list_new(4);
    for (int p = 0; p < atoi(words[2]); p++) {
        rd_kafka_topic_partition_list_add(places, words[1], p)->offset = atoll(words[3]);
    }
    rd_kafka_resp_err_t error = 0;
    if (strcmp(words[3], "-2") != 0) { error = rd_kafka_offsets_for_times(consumer, places, WAIT_MS); }
    if (error == 0) { error = rd_kafka_assign(consumer, places); }
    rd_kafka_topic_partition_list_destroy(places);
    int left = atoi(words[4]);
    /* A moment longer than it takes, to see whether there are too many. */
    for (int64_t end = now_ms() + 2 * WAIT_MS; error == 0 && now_ms() < end;) {
        rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 100);
        if (message == NULL) { continue; }
        error = message->err;
        if (error == 0) { print_record(message); }
        rd_kafka_message_destroy(message);
        if (--left == 0) { end = now_ms() + 200; }
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return error == 0 || fail_code(error);
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static struct Member* member(const char* name) {
    for (int i = 0; i < MEMBERS_MAX; i++) {
        if (members[i].consumer != NULL && strcmp(members[i].name, name) == 0) { return &members[i]; }
    }
    return NULL;
}

static bool join(char** words) {
    struct Member* made = members;
    while (made->consumer != NULL) { made++; }
    snprintf(made->name, sizeof made->name, "%s", words[1]);
    made->consumer = client(RD_KAFKA_CONSUMER, "group.id", words[2], "enable.auto.commit", "false", "auto.offset.reset",
                            "earliest", "heartbeat.interval.ms", "300", "session.timeout.ms", "6000", NULL);
    rd_kafka_poll_set_consumer(made->consumer);
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, words[3], RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t error = rd_kafka_subscribe(made->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return error == 0 || fail_code(error);
}

static bool poll_member(const char* name) {
    for (int i = 0; i < 200; i++) {
        rd_kafka_message_t* message = rd_kafka_consumer_poll(member(name)->consumer, i == 0 ? 100 : 5);
        if (message == NULL) { break; }
        if (message->err == 0) { print_record(message); }
        rd_kafka_message_destroy(message);
    }
    return true;
}

static bool assigned(const char* name) {
    rd_kafka_topic_partition_list_t* places = NULL;
    const rd_kafka_resp_err_t error = rd_kafka_assignment(member(name)->consumer, &places);
    if (error != 0) { return fail_code(error); }
    for (int i = 0; i < places->cnt; i++) { printf("= %d\n", places->elems[i].partition); }
    rd_kafka_topic_partition_list_destroy(places);
    return true;
}

/* Without a record since the assignment there is nothing to commit, which librdkafka calls an error. */
static bool commit(const char* name) {
    const rd_kafka_resp_err_t error = rd_kafka_commit(member(name)->consumer, NULL, 0);
    return error == 0 || error == RD_KAFKA_RESP_ERR__NO_OFFSET || fail_code(error);
}

static bool leave(const char* name) {
    struct Member* gone = member(name);
    const rd_kafka_resp_err_t error = rd_kafka_consumer_close(gone->consumer);
    rd_kafka_destroy(gone->consumer);
    gone->consumer = NULL;
    return error == 0 || fail_code(error);
}

/* committed GROUP TOPIC PARTITIONS */
static bool committed(char** words) {
    rd_kafka_t* consumer = client(RD_KAFKA_CONSUMER, "group.id", words[1], NULL);
    rd_kafka_topic_partition_list_t* places = rd_kafka_topic_partition_list_new(4);
    for (int p = 0; p < atoi(words[3]); p++) { rd_kafka_topic_partition_list_add(places, words[2], p); }
    const rd_kafka_resp_err_t error = rd_kafka_committed(consumer, places, WAIT_MS);
    for (int i = 0; error == 0 && i < places->cnt; i++) {
        printf("= %d %lld\n", places->elems[i].partition, (long long)places->elems[i].offset);
    }
    rd_kafka_topic_partition_list_destroy(places);
    rd_kafka_destroy(consumer);
    return error == 0 || fail_code(error);
}

static bool transaction(void) {
    rd_kafka_t* producer = client(RD_KAFKA_PRODUCER, "transactional.id", "t", NULL);
    rd_kafka_error_t* error = rd_kafka_init_transactions(producer, 2 * WAIT_MS);
    if (error != NULL) { printf("= %s: %s\n", rd_kafka_error_name(error), rd_kafka_error_string(error)); }
    if (error != NULL) { rd_kafka_error_destroy(error); }
    rd_kafka_destroy(producer);
    return true;
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static bool command(char** words) {
    const char* name = words[0];
    if (strcmp(name, "hello") == 0) { return printf("= librdkafka %s, in C\n", rd_kafka_version_str()) > 0; }
    if (strcmp(name, "codecs") == 0) { return printf("= none\n= gzip\n= snappy\n= lz4\n= zstd\n") > 0; }
    if (strcmp(name, "create") == 0) { return create(words); }
    if (strcmp(name, "produce") == 0) { return produce(words); }
    if (strcmp(name, "read") == 0) { return read_records(words); }
    if (strcmp(name, "join") == 0) { return join(words); }
    if (strcmp(name, "poll") == 0) { return poll_member(words[1]); }
    if (strcmp(name, "assigned") == 0) { return assigned(words[1]); }
    if (strcmp(name, "commit") == 0) { return commit(words[1]); }
    if (strcmp(name, "leave") == 0) { return leave(words[1]); }
    if (strcmp(name, "committed") == 0) { return committed(words); }
    if (strcmp(name, "topics") == 0) { return list_topics(NULL); }
    if (strcmp(name, "partitions") == 0) { return list_topics(words[1]); }
    if (strcmp(name, "groups") == 0) { return list_groups(); }
    if (strcmp(name, "delete") == 0) { return delete_topic(words); }
    if (strcmp(name, "delete_group") == 0) { return delete_group(words); }
    if (strcmp(name, "transaction") == 0) { return transaction(); }
    return fail("no such command");
}

int main(int count, char** arguments) {
    if (count != 2) { return 2; }
    bootstrap = arguments[1];
    admin = client(RD_KAFKA_PRODUCER, NULL);
    char line[1024];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char* words[WORDS_MAX] = {0};
        int n = 0;
        for (char* word = strtok(line, " \n"); word != NULL && n < WORDS_MAX; word = strtok(NULL, " \n")) {
            words[n++] = word;
        }
        if (n > 0 && command(words)) { printf("ok\n"); }
        fflush(stdout);
    }
    rd_kafka_destroy(admin);
    return 0;
}
