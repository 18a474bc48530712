// Adapter of franz-go.
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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var bootstrap = os.Args[1]

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	if err != nil {
		panic(err)
	}
	return made
}

func bounded() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 20*time.Second) //nolint: the program is short
	return ctx
}

func administer(work func(*kadm.Client) ([]string, error)) ([]string, error) {
	admin := kadm.NewClient(client())
	defer admin.Close()
	return work(admin)
}

func produce(words []string) ([]string, error) {
	topic, partitions, prefix := words[0], interop.Number(words[1]), words[4]
	codec := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[words[2]]
	options := []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	switch words[3] {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	producer := client(options...)
	defer producer.Close()
	records := []*kgo.Record{}
	for i := int64(0); i < interop.Number(words[5]); i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions),
			Key: []byte(fmt.Sprintf("%s-%d", prefix, i)), Value: []byte(strings.Repeat("v", 100)),
			Timestamp: time.UnixMilli(interop.Number(words[6]) + i)})
	}
	return nil, producer.ProduceSync(bounded(), records...).FirstErr()
}

func read(words []string) ([]string, error) {
	offset := kgo.NewOffset().AtStart()
	if words[2] != "-2" {
		offset = kgo.NewOffset().AfterMilli(interop.Number(words[2]))
	}
	places := map[int32]kgo.Offset{}
	for p := int64(0); p < interop.Number(words[1]); p++ {
		places[int32(p)] = offset
	}
	consumer := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{words[0]: places}))
	defer consumer.Close()
	records := &interop.Records{}
	go func() {
		for {
			fetched := consumer.PollFetches(context.Background())
			if fetched.IsClientClosed() {
				return
			}
			fetched.EachRecord(func(r *kgo.Record) { records.Add(r.Partition, r.Offset, r.Key) })
		}
	}()
	return records.Gathered(int(interop.Number(words[3]))), nil
}

type member struct {
	interop.Records
	client   *kgo.Client
	mutex    sync.Mutex
	assigned map[int32]bool
}

var members = map[string]*member{}

func join(words []string) ([]string, error) {
	m := &member{assigned: map[int32]bool{}}
	note := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, places map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partition := range places[words[2]] {
				if has {
					m.assigned[partition] = true
				} else {
					delete(m.assigned, partition)
				}
			}
		}
	}
	m.client = client(kgo.ConsumerGroup(words[1]), kgo.ConsumeTopics(words[2]), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.SessionTimeout(6*time.Second), kgo.OnPartitionsAssigned(note(true)), kgo.OnPartitionsRevoked(note(false)),
		kgo.OnPartitionsLost(note(false)))
	members[words[0]] = m
	go func() {
		for {
			fetched := m.client.PollFetches(context.Background())
			if fetched.IsClientClosed() {
				return
			}
			fetched.EachRecord(func(r *kgo.Record) { m.Add(r.Partition, r.Offset, r.Key) })
		}
	}()
	return nil, nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return module.Version
		}
	}
	return "?"
}

func main() {
	interop.Serve(map[string]interop.Command{
		"hello":   func([]string) ([]string, error) { return []string{"franz-go " + version()}, nil },
		"codecs":  func([]string) ([]string, error) { return []string{"none", "gzip", "snappy", "lz4", "zstd"}, nil },
		"produce": produce,
		"read":    read,
		"join":    join,
		"create": func(words []string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				_, err := admin.CreateTopic(bounded(), int32(interop.Number(words[1])), 1, nil, words[0])
				return nil, err
			})
		},
		"poll": func(words []string) ([]string, error) { return members[words[0]].Drain(), nil },
		"assigned": func(words []string) ([]string, error) {
			m := members[words[0]]
			m.mutex.Lock()
			defer m.mutex.Unlock()
			partitions := []int32{}
			for partition := range m.assigned {
				partitions = append(partitions, partition)
			}
			return interop.Sorted(partitions), nil
		},
		"commit": func(words []string) ([]string, error) {
			return nil, members[words[0]].client.CommitUncommittedOffsets(bounded())
		},
		"leave": func(words []string) ([]string, error) {
			members[words[0]].client.Close()
			delete(members, words[0])
			return nil, nil
		},
		"committed": func(words []string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				found, err := admin.FetchOffsets(bounded(), words[0])
				lines := []string{}
				found.Each(func(o kadm.OffsetResponse) { lines = append(lines, fmt.Sprintf("%d %d", o.Partition, o.At)) })
				return lines, err
			})
		},
		"topics": func([]string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				found, err := admin.ListTopics(bounded())
				return found.Names(), err
			})
		},
		"partitions": func(words []string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				found, err := admin.ListTopics(bounded(), words[0])
				return []string{fmt.Sprint(len(found[words[0]].Partitions))}, err
			})
		},
		"groups": func([]string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				found, err := admin.ListGroups(bounded())
				return found.Groups(), err
			})
		},
		"delete": func(words []string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				_, err := admin.DeleteTopic(bounded(), words[0])
				return nil, err
			})
		},
		"delete_group": func(words []string) ([]string, error) {
			return administer(func(admin *kadm.Client) ([]string, error) {
				_, err := admin.DeleteGroup(bounded(), words[0])
				return nil, err
			})
		},
		"transaction": func([]string) ([]string, error) {
			producer := client(kgo.TransactionalID("t"))
			defer producer.Close()
			if _, _, err := producer.ProducerID(bounded()); err != nil {
				return []string{err.Error()}, nil
			}
			return nil, nil
		},
	})
}
