// Adapter of sarama.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"flowstone/interop"

	"github.com/IBM/sarama"
)

var brokers = []string{os.Args[1]}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "interop"
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	return config
}

func administer(work func(sarama.ClusterAdmin) ([]string, error)) ([]string, error) {
	admin, err := sarama.NewClusterAdmin(brokers, config())
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return work(admin)
}

func produce(words []string) ([]string, error) {
	settings := config()
	settings.Producer.Compression = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone,
		"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
		"zstd": sarama.CompressionZSTD}[words[2]]
	settings.Producer.RequiredAcks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal,
		"all": sarama.WaitForAll}[words[3]]
	if words[3] == "all" {
		settings.Producer.Idempotent = true
		settings.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer(brokers, settings)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	messages := []*sarama.ProducerMessage{}
	for i := int64(0); i < interop.Number(words[5]); i++ {
		messages = append(messages, &sarama.ProducerMessage{Topic: words[0],
			Partition: int32(i % interop.Number(words[1])), Key: sarama.StringEncoder(fmt.Sprintf("%s-%d", words[4], i)),
			Value: sarama.StringEncoder(strings.Repeat("v", 100)), Timestamp: time.UnixMilli(interop.Number(words[6]) + i)})
	}
	return nil, producer.SendMessages(messages)
}

func read(words []string) ([]string, error) {
	client, err := sarama.NewClient(brokers, config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	records := &interop.Records{}
	for p := int32(0); int64(p) < interop.Number(words[1]); p++ {
		offset, err := client.GetOffset(words[0], p, interop.Number(words[2]))
		if err != nil {
			return nil, err
		}
		place, err := consumer.ConsumePartition(words[0], p, offset)
		if err != nil {
			return nil, err
		}
		defer place.AsyncClose()
		go func() {
			for message := range place.Messages() {
				records.Add(message.Partition, message.Offset, message.Key)
			}
		}()
	}
	return records.Gathered(int(interop.Number(words[3]))), nil
}

type member struct {
	interop.Records
	group    sarama.ConsumerGroup
	cancel   context.CancelFunc
	ended    chan struct{}
	mutex    sync.Mutex
	session  sarama.ConsumerGroupSession
	assigned []int32
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = session
	for _, partitions := range session.Claims() {
		m.assigned = append([]int32{}, partitions...)
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session, m.assigned = nil, nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.Add(message.Partition, message.Offset, message.Key)
		session.MarkMessage(message, "")
	}
	return nil
}

var members = map[string]*member{}

func join(words []string) ([]string, error) {
	group, err := sarama.NewConsumerGroup(brokers, words[1], config())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: group, cancel: cancel, ended: make(chan struct{})}
	members[words[0]] = m
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{words[2]}, m); err != nil {
				fmt.Fprintln(os.Stderr, err)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return nil, nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			return module.Version
		}
	}
	return "?"
}

func main() {
	interop.Serve(map[string]interop.Command{
		"hello":   func([]string) ([]string, error) { return []string{"sarama " + version()}, nil },
		"codecs":  func([]string) ([]string, error) { return []string{"none", "gzip", "snappy", "lz4", "zstd"}, nil },
		"produce": produce,
		"read":    read,
		"join":    join,
		"create": func(words []string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				return nil, admin.CreateTopic(words[0], &sarama.TopicDetail{NumPartitions: int32(interop.Number(words[1])),
					ReplicationFactor: 1}, false)
			})
		},
		"poll": func(words []string) ([]string, error) { return members[words[0]].Drain(), nil },
		"assigned": func(words []string) ([]string, error) {
			m := members[words[0]]
			m.mutex.Lock()
			defer m.mutex.Unlock()
			return interop.Sorted(append([]int32{}, m.assigned...)), nil
		},
		"commit": func(words []string) ([]string, error) {
			m := members[words[0]]
			m.mutex.Lock()
			defer m.mutex.Unlock()
			if m.session == nil {
				return nil, fmt.Errorf("between two generations")
			}
			m.session.Commit()
			return nil, nil
		},
		"leave": func(words []string) ([]string, error) {
			m := members[words[0]]
			delete(members, words[0])
			m.cancel()
			<-m.ended
			return nil, m.group.Close()
		},
		"committed": func(words []string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				lines := []string{}
				found, err := admin.ListConsumerGroupOffsets(words[0], nil)
				if err != nil {
					return nil, err
				}
				for partition, block := range found.Blocks[words[1]] {
					lines = append(lines, fmt.Sprintf("%d %d", partition, block.Offset))
				}
				return lines, nil
			})
		},
		"topics": func([]string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				found, err := admin.ListTopics()
				names := []string{}
				for name := range found {
					names = append(names, name)
				}
				return names, err
			})
		},
		"partitions": func(words []string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				found, err := admin.ListTopics()
				return []string{fmt.Sprint(found[words[0]].NumPartitions)}, err
			})
		},
		"groups": func([]string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				found, err := admin.ListConsumerGroups()
				names := []string{}
				for name := range found {
					names = append(names, name)
				}
				return names, err
			})
		},
		"delete": func(words []string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) { return nil, admin.DeleteTopic(words[0]) })
		},
		"delete_group": func(words []string) ([]string, error) {
			return administer(func(admin sarama.ClusterAdmin) ([]string, error) {
				return nil, admin.DeleteConsumerGroup(words[0])
			})
		},
		"transaction": func([]string) ([]string, error) {
			settings := config()
			settings.Producer.Transaction.ID = "t"
			settings.Producer.Transaction.Retry.Max = 3 // it tries whatever the error is, for 5 s unless told
			settings.Producer.Idempotent = true
			settings.Producer.RequiredAcks = sarama.WaitForAll
			settings.Net.MaxOpenRequests = 1
			producer, err := sarama.NewSyncProducer(brokers, settings)
			if err != nil {
				return []string{err.Error()}, nil
			}
			defer producer.Close()
			return nil, producer.BeginTxn()
		},
	})
}
